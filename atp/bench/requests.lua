-- wrk: sends the requests of a file in turn, each with an Idempotency-Key nobody used before (asks.py writes it).
-- Arguments: the file (what comes before a key, NUL, what comes after it, NUL, and so on), a name of this run.
-- Without response(), so that wrk itself counts what is refused (status above 399) and Lua costs little.

function init(arguments)
  heads, tails, count, run = {}, {}, 0, arguments[2]
  local file = assert(io.open(arguments[1], 'rb'))
  for head, tail in file:read('*a'):gmatch('([^%z]*)%z([^%z]*)%z') do
    heads[#heads + 1], tails[#tails + 1] = head, tail
  end
  file:close()
end

function request()
  local i = count % #heads + 1
  count = count + 1
  return heads[i] .. run .. count .. tails[i]
end

function done(summary, latency)
  local e = summary.errors
  print(string.format('RESULT %d %d %.0f %.0f %.0f %d %d', summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), latency:percentile(99.9), e.status, e.connect + e.read + e.write + e.timeout))
end
