-- What a position has: its balance as entries show it, and the units that may still be promised.

local function shipped_units(p)
  local units, shipped = 0, p[P_SHIPPED]
  for i = 2, #shipped, 2 do units = units + shipped[i] end
  return units
end

-- Units that were not on the shelf; those that came back unfit are among what their source says is unsellable.
local function set_aside(p)
  local units = 0
  for _, x in ipairs(p[P_ASIDE] or {}) do
    if x[1] == 'short' then units = units + x[5] end
  end
  return units
end

-- Free units of a position by one source's number.
local function free_by(b, s, p, location, source)
  local n = find_number(p, source)
  local promised = safety_stock(s, location) + p[P_HELD] + p[P_COMMITTED] + shipped_units(p)
  if p[P_ASIDE] then promised = promised + set_aside(p) end
  if not n then return -promised end
  local measure = measure_of(b, source)
  if measure == 'on_hand' then return n[N_NUMBER] - n[N_UNSELLABLE] - promised end
  return n[N_NUMBER] - promised + (measure == 'available' and n[N_INCLUDED] or 0)
end

-- The location's record if the authority is, or was, silent, and sent no level of this position since.
local function on_fallback(b, p, location)
  local record = b.policies.records[location]
  if not record or record[Y.SINCE] == 0 then return nil end
  local n = p and find_number(p, authority_of(b, location))
  if n and n[N_MARKS] and n[N_MARKS][1] == record[Y.SINCE] then return nil end
  return record
end

-- The source whose number is sold: the authority, or on fallback the one that leaves fewer units.
local function selling(b, s, p, location)
  local source, record = authority_of(b, location), b.policies.records[location]
  if not record or not on_fallback(b, p, location) then return source end
  local n = p and find_number(p, record[Y.FALLBACK])
  if not n or not n[N_LEVEL] then return source end
  local lower = free_by(b, s, p, location, record[Y.FALLBACK]) < free_by(b, s, p, location, source)
  return lower and record[Y.FALLBACK] or source
end

-- {sku, location, number, unsellable, safety stock, held, committed, shipped} of a position, as entries show it; if its
-- number is not of measure `on_hand`, or units are set aside, then also included units, the measure, and those units.
-- `p` is the position's record, if it is at hand.
local function balance(b, sku, location, p)
  local s = find_sku(b, sku)
  p = p or find_position(b, sku, location)
  local source = selling(b, s, p, location)
  local t, n = { sku, location, 0, 0, s and safety_stock(s, location) or 0, 0, 0, 0 }, nil
  if p then
    n = find_number(p, source)
    if n then t[3], t[4] = n[N_NUMBER], n[N_UNSELLABLE] end
    t[6], t[7], t[8] = p[P_HELD], p[P_COMMITTED], shipped_units(p)
  end
  local measure = measure_of(b, source)
  if measure ~= 'on_hand' then t[9], t[10] = measure == 'available' and n and n[N_INCLUDED] or 0, measure end
  local aside = p and p[P_ASIDE] and set_aside(p) or 0
  if aside > 0 then t[9], t[10], t[11] = t[9] or 0, measure, aside end
  return t
end

-- Free units of a position, without the table of a balance; `place` is its key.
local function free_at(b, sku, location, place)
  local p = lookup(b, b.positions, 'pos', place)
  if not p then return 0 end
  local s = b.skus[sku]
  return free_by(b, s, p, location, selling(b, s, p, location))
end
