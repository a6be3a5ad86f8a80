-- The clock, jumps and outages: domain/rules/clock.py gives the reasons.

local clock = {}

function clock.now()
  local t = call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- {batch's time, ledger's clock, whether the sender's is another one}. A header without a sender's clock agrees.
function clock.read(meta, header)
  local time, last = header[7] > 0 and header[7] or clock.now(), tonumber(meta.last_now)
  local apart = header[6] > 0 and math.abs(time - header[6]) > CLOCK.APART_MS
  return math.max(apart and math.min(time, header[6]) or time, last), time, apart
end

-- A deadline as an argument of ZRANGE and ZCOUNT: after it, or before it.
local function above(deadline) return string.format('(%.0f', deadline) end

-- When a kept deadline counts: later, if it fell into an outage.
function clock.deadline_of(b, deadline)
  for _, m in ipairs(b.moved) do
    if deadline > m[1] and deadline <= m[2] then return m[3] end
  end
  return deadline
end

local function first_due(b, from, to)
  return tonumber(call('ZRANGE', b.prefix .. 'due', from, to, 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2])
end

-- Up to `limit` holds that are due, oldest first; those that an outage moved are skipped until it is their time.
function clock.due_holds(b, limit)
  if b.apart then return {} end
  local key, from, found = b.prefix .. 'due', '-inf', {}
  local function add(to)
    for _, id in ipairs(call('ZRANGE', key, from, to, 'BYSCORE', 'LIMIT', 0, limit - #found)) do
      found[#found + 1] = id
    end
  end
  for _, m in ipairs(b.moved) do
    if m[3] > b.now then
      add(m[1])
      from = above(m[2])
    end
  end
  add(b.now)
  return found
end

-- The nearest deadline that counts, of a hold or of a silence, or 0.
function clock.next_due(b)
  local from, nearest = '-inf', nil
  local function take(deadline)
    if deadline and (not nearest or deadline < nearest) then nearest = deadline end
  end
  for _, m in ipairs(b.moved) do
    take(first_due(b, from, m[1]))
    take(first_due(b, above(m[1]), m[2]) and m[3])
    from = above(m[2])
  end
  take(first_due(b, from, '+inf'))
  if b.awaited_count > 0 then take(tonumber(call('ZRANGE', b.prefix .. 'awaited', 0, 0, 'WITHSCORES')[2])) end
  take(b.next_silence > 0 and b.next_silence)
  return nearest or 0
end

local function tell_apart(b, meta, time, header)
  b.told = { meta.apart or '0', meta.apart_at or '0' }
  if not b.apart then
    b.told[1] = '0'
  elseif b.told[1] == '0' and b.now - tonumber(b.told[2]) >= CLOCK.TOLD_MS then
    b.told = { '1', string.format('%.0f', b.now) }
    log(b, pack({ E.APART, next_seq(b), b.now, '', '', time, header[6], header[2] }))
  end
  b.clock_changed = b.told[1] ~= (meta.apart or '0')
end

-- Forget the outages that no deadline speaks of any more; a list that is empty costs nothing.
local function forget_moved(b)
  if #b.moved == 0 then return end
  local left = {}
  for _, m in ipairs(b.moved) do
    if call('ZCOUNT', b.prefix .. 'due', above(m[1]), m[2]) > 0 then left[#left + 1] = m end
  end
  if #left < #b.moved then b.moved, b.clock_changed = left, true end
end

local function move_deadlines(b, last)
  if b.now - last <= CLOCK.OUTAGE_MS then return end
  local overdue = b.now - CLOCK.OUTAGE_MS
  local passed = first_due(b, above(last), above(overdue)) ~= nil
  for _, m in ipairs(b.moved) do passed = passed or (m[3] > last and m[3] < overdue) end
  if not passed then return end
  local to = b.now + CLOCK.REOPEN_MS
  for _, m in ipairs(b.moved) do
    if m[3] > last and m[3] <= b.now then m[3] = to end
  end
  b.moved[#b.moved + 1] = { last, b.now, to }
  b.clock_changed = true
  log(b, pack({ E.MOVED, next_seq(b), b.now, '', '', last, b.now, to }))
end

function clock.start(b, meta, header, time)
  tell_apart(b, meta, time, header)
  forget_moved(b)
  move_deadlines(b, tonumber(meta.last_now))
end

function clock.write(b)
  if not b.clock_changed then return end
  call('HSET', b.prefix .. 'meta', 'apart', b.told[1], 'apart_at', b.told[2], 'moved', pack(b.moved))
end
