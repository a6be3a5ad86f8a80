-- Moves: what changed facts of allocations change beside them, told once for each position; domain/rules/moves.py gives
-- the reasons. `m` remembers the allocations before their first change, and sums up what is to be told.

local moves = {}

-- `c` is the event that changes them, nil for a call.
function moves.start(b, cause, c)
  return { b = b, cause = cause, c = c, watched = {}, known = {}, numbers = {}, shipped = {}, missing = {} }
end

function moves.watch(m, sku, a)
  if m.known[a] then return end
  local before, copies = { unpack(a, 1, 14) }, {}
  for i, tally in ipairs(a[A_TALLIES] or {}) do copies[i] = { unpack(tally) } end
  if a[A_TALLIES] then before[A_TALLIES] = copies end
  if a[A_TOLD] then before[A_TOLD] = { unpack(a[A_TOLD]) } end
  m.known[a] = true
  m.watched[#m.watched + 1] = { sku, a, before }
end

-- More units are promised for good; what was acknowledged before is none of them.
function moves.commit(m, sku, a, units)
  if not a[A_TALLIES] then
    a[A_COMMITTED] = a[A_COMMITTED] + units
    return
  end
  local live = tallies.most_live(a)
  moves.watch(m, sku, a)
  a[A_COMMITTED] = a[A_COMMITTED] + units
  tallies.leave(a, math.max(0, tallies.most_live(a) - live))
end

-- Sums in the order in which they were begun.
local function sum(sums, key, units, ...)
  local known = sums[key]
  if not known then
    known = { 0, ... }
    sums[key] = known
    sums[#sums + 1] = known
  end
  known[1] = known[1] + units
end

local function dated(version) return string.format('%.0f:%.0f:%.0f', version[1], version[2], version[3]) end

-- Units left by the word of others; negative ones are shown by now.
function moves.ship(m, sku, location, minute, units)
  if units == 0 or m.b.foreign[sku] then return end
  sum(m.shipped, position_key(sku, location) .. '\0' .. string.format('%.0f', minute), units, sku, location, minute)
end

-- Units of a source as of a version: that left, or that were not found.
local function sum_dated(sums, sku, location, source, version, units)
  local key = position_key(sku, location) .. '\0' .. source .. '\0' .. dated(version)
  sum(sums, key, units, sku, location, source, version)
end

function moves.miss(m, sku, location, source, version, units)
  if units ~= 0 and not m.b.foreign[sku] then sum_dated(m.missing, sku, location, source, version, units) end
end

-- Units that a source's number is net of, or will be from a version on.
local function count_live(n, live, sign)
  for _, step in ipairs(live) do
    local version, units = step[1], sign * step[2]
    if not version_less(n[N_VERSION], version) then
      n[N_INCLUDED] = n[N_INCLUDED] + units
    else
      local pending, at = n[N_PENDING], inclusion.pending_at(n, version)
      if at then
        pending[at + 3] = pending[at + 3] + units
        if pending[at + 3] == 0 then inclusion.drop_pending(pending, at) end
      else
        for _, value in ipairs({ version[1], version[2], version[3], units }) do pending[#pending + 1] = value end
      end
    end
  end
end

local function compare(m, sku, a, before, source)
  local was, now = tallies.standing(before, tallies.find(before, source)), tallies.standing(a, tallies.find(a, source))
  local p = position_record(m.b, sku, a[A_LOCATION])
  local n = find_number(p, source)
  if #was[1] > 0 or #now[1] > 0 then -- what is only missing tells nothing of a number
    n = inclusion.number_record(p, source)
    count_live(n, was[1], -1)
    count_live(n, now[1], 1)
  end
  local function difference(sums, old, new)
    for _, side in ipairs({ { old, -1 }, { new, 1 } }) do
      for _, step in ipairs(side[1]) do
        if not n or not n[N_LEVEL] or version_less(n[N_VERSION], step[1]) then
          sum_dated(sums, sku, a[A_LOCATION], source, step[1], side[2] * step[2])
        end
      end
    end
  end
  difference(m.numbers, was[2], now[2])
  difference(m.missing, was[3], now[3])
end

-- What others told of stays subtracted, but for units that the authority's number is net of, or will be.
local function move_told(m, sku, a)
  local told = a[A_TOLD]
  if not told or not told[1] then return end
  local b, most, left = m.b, told_units(a), {}
  local authority = authority_of(b, a[A_LOCATION])
  if measure_of(b, authority) == 'available'
      and not on_fallback(b, find_position(b, sku, a[A_LOCATION]), a[A_LOCATION]) then
    most = math.min(most, tallies.standing(a, tallies.find(a, authority))[4])
  end
  for i = #told - 2, 1, -3 do
    local kept = math.min(told[i + 1], most)
    most = most - kept
    moves.ship(m, sku, a[A_LOCATION], told[i], kept - told[i + 2])
    left[i], left[i + 1], left[i + 2] = told[i], told[i + 1], kept
  end
  for i = 1, #told do told[i] = left[i] end
end

-- A number falls by what left, and rises again by what its level shows or is net of after all.
local function tell_numbers(m)
  local b, c = m.b, m.c
  for _, known in ipairs(m.numbers) do
    local units, sku, location, source, version = known[1], known[2], known[3], known[4], known[5]
    local p = position_record(b, sku, location)
    local n = (units > 0 or find_number(p, source)) and inclusion.number_record(p, source)
    local as_of = c and c[4] == source and c[10] or 0
    units = n and stock.change_dated(b, sku, location, n, dated(version), version, units) or 0
    if units ~= 0 then
      n[N_AS_OF] = math.max(n[N_AS_OF], as_of)
      local own, seq = c and c[4] == source, next_seq(b)
      touch(b, sku, seq)
      log(b, pack({ E.DELTA, seq, b.now, '', m.cause, sku, location, source, -units, n[N_NUMBER], version,
        own and c[8] or '', own and c[9] or 0, as_of, 0, { balance(b, sku, location) } }))
    end
  end
end

-- Of a call that `ships` the entry of its record says what left in this minute.
local function tell_shipped(m)
  local b, c = m.b, m.c
  local minute_now = math.floor(b.now / SHIPPED_BUCKET_MS) * SHIPPED_BUCKET_MS
  for _, known in ipairs(m.shipped) do
    local sku, location, minute = known[2], known[3], known[4]
    local units = math.max(known[1], -shipping.shipped_in(b, sku, location, minute))
    if units ~= 0 then
      shipping.ship(b, sku, location, minute, units)
      if not m.ships or minute ~= minute_now or units < 0 then
        local seq = next_seq(b)
        touch(b, sku, seq)
        log(b, pack({ E.SHIPMENT, seq, b.now, '', m.cause, sku, location, c and c[4] or '', minute, units,
          { balance(b, sku, location) } }))
      end
    end
  end
end

local function tell_missing(m)
  local b, event = m.b, m.c and m.c[11] or 0
  for _, known in ipairs(m.missing) do
    local sku, location, source, version = known[2], known[3], known[4], known[5]
    local units = asides.note(b, position_record(b, sku, location), source, 'short', known[1], version, event)
    if units ~= 0 then
      local seq = next_seq(b)
      touch(b, sku, seq)
      log(b, pack({ E.ASIDE, seq, b.now, '', m.cause, sku, location, source, units, version,
        math.floor(b.now / SHIPPED_BUCKET_MS) * SHIPPED_BUCKET_MS, event, { balance(b, sku, location) } }))
    end
  end
end

-- Let everything follow from what the watched allocations are now.
function moves.settle(m)
  for _, one in ipairs(m.watched) do
    local sku, a, before = one[1], one[2], one[3]
    local live = a[A_TALLIES] and a[A_TALLIES][1] and tallies.most_live(a) or a[A_ACKNOWLEDGED]
    a[A_ACKNOWLEDGED] = math.min(a[A_COMMITTED], live)
    if not m.b.foreign[sku] then
      for _, tally in ipairs(a[A_TALLIES] or {}) do
        if tally[1] ~= '' then compare(m, sku, a, before, tally[1]) end
      end
      move_told(m, sku, a)
    end
  end
  tell_numbers(m)
  tell_shipped(m)
  tell_missing(m)
  m.watched, m.known, m.numbers, m.shipped, m.missing = {}, {}, {}, {}, {}
end
