-- wrk: POST /v1/reservations, a new Idempotency-Key for every request. Arguments: API key, how many skus.

local threads = 0

function setup(thread)
  thread:set('number', threads)
  threads = threads + 1
end

function init(arguments)
  math.randomseed(os.time() + number)
  run = string.format('%x-%d', math.random(2 ^ 31), number)
  skus = tonumber(arguments[2])
  count, failed = 0, 0
  wrk.method = 'POST'
  wrk.headers['Content-Type'] = 'application/json'
  wrk.headers['Authorization'] = 'Bearer ' .. arguments[1]
end

function request()
  count = count + 1
  wrk.headers['Idempotency-Key'] = run .. '-' .. count
  return wrk.format(nil, nil, nil, string.format('{"lines":[{"sku":"SKU-%d","quantity":1}],"ttl_seconds":600}', count % skus))
end

function response(status)
  if status ~= 201 then failed = failed + 1 end
end

-- Threads keep their own counts: each reports before the summary.
local all = {}
local base = setup
function setup(thread)
  base(thread)
  all[#all + 1] = thread
end

function done(summary, latency)
  local bad = 0
  for _, thread in ipairs(all) do bad = bad + thread:get('failed') end
  local e = summary.errors
  print(string.format('RESULT %d %d %.0f %d %d %d', summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), bad, e.connect + e.read + e.write + e.timeout))
end
