-- Waiting rooms of campaigns: who arrived, and how many were let in. They guard capacity and are no part of the law:
-- a ledger made anew has empty ones. Works when memory is full.
--
-- A room is of one opening: places of another one, of a sale that was postponed or put anew, are none here. Who came
-- early to a sale stays early while it is postponed, but not for the next one of its name.

local ROOM = { STEP_MS = 1000, KEPT_MS = 3600000, FIRST_RATE = 500, LEAST_RATE = 10, SHARE = 0.9, GROWTH = 1.25 }

-- The rate of admission follows what was served: 0.9 of it while processes refuse for want of capacity, more while they
-- do not and somebody waits.
local function admission_rate(room, now, waits)
  if now - room.since < ROOM.STEP_MS then return end
  local goodput = room.served * 1000 / (now - room.since)
  if room.shed > 0 then
    room.rate = math.max(ROOM.LEAST_RATE, ROOM.SHARE * goodput)
  elseif waits then
    room.rate = room.rate * ROOM.GROWTH
  end
  room.since, room.served, room.shed = now, 0, 0
end

-- What tells a sale from others of its name: since when the law counts what it sells (R23).
local function sale_of(prefix, campaign)
  local standing = call('HGET', prefix .. 'campaign', campaign)
  return standing and unpack_one(standing)[3] or 0
end

-- ARGV [[campaign, opens, closes, [customer, …], reserves served and shed since the last call], …]
-- -> [[now, whether it is open, early arrivals, all arrivals, admitted, admitted a second, place of the first customer]]
local function attend(keys, args)
  bind()
  local prefix, answers = string.sub(keys[1], 1, -5), {}
  local time = call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  for i, a in ipairs(unpack_one(args[1])) do
    local key, customers = string.format('%sroom:%s:%.0f', prefix, a[1], a[2]), a[4]
    local early_key = string.format('%searly:%s:%.0f', prefix, a[1], sale_of(prefix, a[1]))
    if now < a[2] then
      for from = 1, #customers, CHUNK do
        call('PFADD', early_key, unpack(customers, from, math.min(#customers, from + CHUNK - 1)))
      end
      call('PEXPIREAT', early_key, a[3] + ROOM.KEPT_MS) -- whoever asks: the sale may have been postponed for days
      local early = call('PFCOUNT', early_key)
      answers[i] = { now, false, early, early, 0, ROOM.FIRST_RATE, 0 }
    else
      local stored = call('GET', key)
      local room = stored and unpack_one(stored)
      if not room then
        local early = call('PFCOUNT', early_key)
        room = { early = early, arrived = early, admitted = 0, rate = ROOM.FIRST_RATE, at = a[2], since = now, served = 0, shed = 0 }
      end
      local first = room.arrived
      room.arrived = first + #customers
      room.served, room.shed = room.served + a[5], room.shed + a[6]
      -- Nobody is admitted in advance: who comes to an empty room waits for the next step at most.
      room.admitted = math.min(room.arrived, room.admitted + room.rate * math.max(0, now - room.at) / 1000)
      room.at = math.max(room.at, now)
      admission_rate(room, now, room.admitted < room.arrived)
      call('SET', key, pack(room), 'PXAT', a[3] + ROOM.KEPT_MS)
      answers[i] = { now, true, room.early, room.arrived, room.admitted, room.rate, first }
    end
  end
  return pack(answers)
end

redis.register_function({ function_name = '@LIBRARY@_room', callback = attend, flags = { 'allow-oom' } })
