-- Reservation records: reading, packing, and what every change to one has in common.

-- As it is stored: the format in slot 1, the bucket last; and the middle, which answers and entries share.
local function pack_stored(r)
  local rest = pack(unpack(r, 2, 15))
  return '\220\0\16\1' .. rest .. pack_text(r[R_BUCKET]), rest -- \1 is the format
end

-- A hold whose deadline fell into an outage, as if it had been written again.
function clock.postpone(b, identity, r)
  local deadline, held = clock.deadline_of(b, r[R_EXPIRES] + GRACE_MS), 0
  if deadline == r[R_EXPIRES] + GRACE_MS then return end
  for _, line in ipairs(r[R_LINES]) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do held = held + a[A_HELD] end
  end
  if held == 0 then return end
  r[R_EXPIRES] = deadline - GRACE_MS
  b.raw[identity] = pack_stored(r)
end

local function find_reservation(b, identity)
  local known = b.reservations[identity]
  if known == nil then
    local stored = b.raw[identity]
    if stored == nil then
      stored = call('HGET', b.prefix .. 'res', identity)
      b.raw[identity] = stored
    end
    known = stored and unpack_one(stored) or false
    -- Whole records are arrays of 16, which start with this byte; a tombstone is a shorter one.
    if known and string.byte(stored, 1) ~= 220 then
      known.tombstone = true
    elseif known and #b.moved > 0 then
      clock.postpone(b, identity, known)
    end
    b.reservations[identity] = known
  end
  return known
end

-- The record of exactly this id: another bucket before the same identity is another, unknown reservation.
local function find_by_id(b, id)
  local r = find_reservation(b, identity_of(id))
  return r and (r.tombstone and r[T.BUCKET] or r[R_BUCKET]) == string.sub(id, 1, 3) and r
end

-- Answers and entries have an array of 15 with the id in slot 1; stored is an array of 16 (a header of three bytes)
-- with the format in slot 1 and the bucket in the last four bytes.
local function packed(b, id) return '\159' .. pack_text(id) .. string.sub(b.raw[identity_of(id)], 5, -5) end

local function pack_record(id, r) return '\159' .. pack(id, unpack(r, 2, 15)) end

-- Units of a reservation or a line by state.
local function add_units(line, t)
  for _, a in ipairs(line[L_ALLOCATIONS]) do
    t.held = t.held + a[A_HELD]
    t.committed = t.committed + a[A_COMMITTED]
    t.fulfilled = t.fulfilled + a[A_FULFILLED]
    t.released = t.released + a[A_RELEASED]
    t.expired = t.expired + a[A_EXPIRED]
    t.unacknowledged = t.unacknowledged + a[A_COMMITTED] - a[A_ACKNOWLEDGED]
  end
  return t
end

local function no_units()
  return { held = 0, committed = 0, fulfilled = 0, released = 0, expired = 0, unacknowledged = 0 }
end

local function units_of(r)
  local t = no_units()
  for _, line in ipairs(r[R_LINES]) do add_units(line, t) end
  return t
end

-- The line's allocation at a location, of stock on hand or of the supply of a day; added if there is none.
local function allocation_at(line, location, supply)
  local allocations = line[L_ALLOCATIONS]
  for _, a in ipairs(allocations) do
    if a[A_LOCATION] == location and a[A_SUPPLY] == supply then return a end
  end
  allocations[#allocations + 1] = { location, supply, 0, 0, 0, 0, 0, 0 }
  return allocations[#allocations]
end

-- Free all held units of a reservation; `state` is the slot that counts them from now on.
local function end_held(b, r, state)
  for _, line in ipairs(r[R_LINES]) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      if a[A_HELD] > 0 then
        shift_units(b, line, a, -a[A_HELD], 0)
        count_held(b, r, line[L_SKU], -a[A_HELD])
        count_sold(b, r, line[L_SKU], -a[A_HELD])
        a[state] = a[state] + a[A_HELD]
        a[A_HELD] = 0
      end
    end
  end
end

-- The balances that a change left, each position once; its skus take its seq.
local function balances_of(b, lines, seq)
  if #lines == 1 and #lines[1][L_ALLOCATIONS] == 1 and not b.foreign[lines[1][L_SKU]] then -- most are like this
    touch(b, lines[1][L_SKU], seq)
    return { balance(b, lines[1][L_SKU], lines[1][L_ALLOCATIONS][1][A_LOCATION]) }
  end
  local balances, done = {}, {}
  for _, line in ipairs(lines) do
    local sku = line[L_SKU]
    if not b.foreign[sku] then touch(b, sku, seq) end
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      local place = position_key(sku, a[A_LOCATION])
      if not done[place] and not b.foreign[sku] then
        done[place] = true
        balances[#balances + 1] = balance(b, sku, a[A_LOCATION])
      end
    end
  end
  return balances
end

local function has_committed(r)
  for _, line in ipairs(r[R_LINES]) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      if a[A_COMMITTED] > 0 then return true end
    end
  end
  return false
end

-- Give a changed reservation its seq, keep it and its deadline, and return the packed record and its balances.
local function keep(b, id, r, seq, held)
  r[R_SEQ] = seq
  local stored, rest = pack_stored(r)
  local identity = identity_of(id)
  b.raw[identity] = stored
  b.reservations[identity] = r
  b.dirty_reservations[identity] = true
  if held == 0 and not has_committed(r) then b.ended[#b.ended + 1] = pack({ seq, b.now, identity }) end
  local basket = b.baskets[identity]
  if basket and basket[6] == 0 then b.following[id] = seq end -- its legs have yet to hear of it
  b.due[id] = held > 0 and r[R_EXPIRES] + GRACE_MS or false
  return '\159' .. pack_text(id) .. rest, balances_of(b, r[R_LINES], seq)
end

-- Log the entry of a changed reservation: common fields, the record, then what the kind adds.
local function log_reservation(b, tag, seq, client, cause, record, balances, reason)
  local head = pack(tag, seq, b.now, client, cause)
  if reason then
    log(b, '\152' .. head .. record .. pack(balances, reason))
  elseif balances then
    log(b, '\151' .. head .. record .. pack(balances))
  else
    log(b, '\150' .. head .. record)
  end
end
