-- Quotas: what clients may still ask for, counted over all processes (R31). They guard capacity and are no part of the
-- law. Works when memory is full, like every request that is counted.

local QUOTA_SEEN_MS = 1000 -- a process that says nothing for so long shares no more

-- How much of a client's quota is this process's: an equal part, and what the others leave of theirs.
local function quota_part(demands, process, rate, now)
  local n, rest = 1, 1
  for other, told in pairs(demands) do
    if now - told[2] > QUOTA_SEEN_MS then
      demands[other] = nil
    elseif other ~= process then
      n = n + 1
    end
  end
  for other, told in pairs(demands) do
    if other ~= process then rest = rest - math.min(told[1] / rate, 1 / n) end
  end
  return math.max(rest, 1 / n)
end

-- KEYS {ns:0}:meta  ARGV process, [[client and class, a second's tokens, most tokens, spent since the last call,
-- wanted a second], …] -> [[tokens left, part of them and of what is to come], …]
local function share_quotas(keys, args)
  bind()
  local key, asked, answers = string.sub(keys[1], 1, -5) .. 'quota', unpack_one(args[2]), {}
  local time = call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  for i, a in ipairs(asked) do
    local stored = call('HGET', key, a[1])
    local left, at, demands = a[3], now, {}
    if stored then left, at, demands = unpack(unpack_one(stored)) end
    -- What is spent beyond what was there is owed: over time nobody gets more than the rate.
    left = math.min(a[3], left + a[2] * math.max(0, now - at) / 1000) - a[4]
    demands[args[1]] = a[5] > 0 and { a[5], now } or nil
    answers[i] = { left, quota_part(demands, args[1], a[2], now) }
    call('HSET', key, a[1], pack({ left, now, demands }))
  end
  return pack(answers)
end

redis.register_function({ function_name = '@LIBRARY@_quota', callback = share_quotas, flags = { 'allow-oom' } })
