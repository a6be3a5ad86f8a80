-- wrk: one kind of request, again and again. Arguments: kind, API key, how many skus, file of what was made before.
--
-- reserve       POST /v1/reservations, a new Idempotency-Key for every request
-- availability  GET  /v1/availability/{sku}
-- unchanged     GET  /v1/availability/{sku} with the ETag that the file has for the sku, line by line
-- confirm, release  POST of it for the reservations whose ids the file has, each once

local threads = {}

function setup(thread)
  thread:set('number', #threads)
  threads[#threads + 1] = thread
end

local EXPECTED = { reserve = 201, availability = 200, unchanged = 304, confirm = 200, release = 200 }

local function read_lines(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

function init(arguments)
  kind, skus = arguments[1], tonumber(arguments[3])
  made = arguments[4] and read_lines(arguments[4])
  math.randomseed(os.time() + number)
  run = string.format('%x-%d', math.random(2 ^ 31), number)
  count, failed, expected = 0, 0, EXPECTED[kind]
  wrk.headers['Content-Type'] = 'application/json'
  wrk.headers['Authorization'] = 'Bearer ' .. arguments[2]
end

local function new_key() wrk.headers['Idempotency-Key'] = run .. '-' .. count end

local makers = {
  reserve = function()
    new_key()
    local body = string.format('{"lines":[{"sku":"SKU-%d","quantity":1}],"ttl_seconds":600}', count % skus)
    return wrk.format('POST', '/v1/reservations', nil, body)
  end,
  availability = function() return wrk.format('GET', string.format('/v1/availability/SKU-%d', count % skus)) end,
  unchanged = function()
    wrk.headers['If-None-Match'] = made[count % skus + 1]
    return wrk.format('GET', string.format('/v1/availability/SKU-%d', count % skus))
  end,
}

local function change(action)
  return function()
    new_key()
    return wrk.format('POST', string.format('/v1/reservations/%s/%s', made[count] or 'none-left', action), nil, '{}')
  end
end

makers.confirm, makers.release = change('confirm'), change('release')

function request()
  count = count + 1
  return makers[kind]()
end

function response(status)
  if status ~= expected then failed = failed + 1 end
end

function done(summary, latency)
  local bad = 0
  for _, thread in ipairs(threads) do bad = bad + thread:get('failed') end
  local e = summary.errors
  print(string.format('RESULT %d %d %.0f %d %d %d', summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), bad, e.connect + e.read + e.write + e.timeout))
end
