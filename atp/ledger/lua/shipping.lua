-- Shipping: units that left by the word of others than the location's source; domain/rules/shipping.py gives the reasons.

-- Keep units subtracted from the position, as of a minute; negative ones are shown by now.
local function ship(b, sku, location, minute, units)
  local shipped = position_record(b, sku, location)[P_SHIPPED]
  for i = 1, #shipped, 2 do
    if shipped[i] == minute then
      shipped[i + 1] = shipped[i + 1] + units
      if shipped[i + 1] == 0 then
        table.remove(shipped, i)
        table.remove(shipped, i)
      end
      return
    end
  end
  shipped[#shipped + 1] = minute
  shipped[#shipped + 1] = units
end

-- Units of an allocation of which others told, and the authority has not: {minute, units, uncounted, …}.
local function told_units(a)
  local units, told = 0, a[A_TOLD] or {}
  for i = 2, #told, 3 do units = units + told[i] end
  return units
end

local function set_told(a, told)
  a[A_COUNTED_BY], a[A_COUNTED], a[A_TOLD] = a[A_COUNTED_BY] or '', a[A_COUNTED] or {}, told
end

local function note_told(a, minute, units, uncounted)
  local told = a[A_TOLD] or {}
  local n = #told
  if n > 0 and (told[n - 2] == minute or n >= 3 * TOLD_MAX) then
    told[n - 1], told[n] = told[n - 1] + units, told[n] + uncounted
  else
    told[n + 1], told[n + 2], told[n + 3] = minute, units, uncounted
  end
  set_told(a, told)
end

local function log_shipment(b, c, sku, location, minute, units)
  ship(b, sku, location, minute, units)
  local seq = next_seq(b)
  touch(b, sku, seq)
  log(b, pack({ E.SHIPMENT, seq, b.now, '', c[15], sku, location, c[4], minute, units, { balance(b, sku, location) } }))
end

local function shipped_in(b, sku, location, minute)
  local shipped = find_position(b, sku, location)[P_SHIPPED]
  for i = 1, #shipped, 2 do
    if shipped[i] == minute then return shipped[i + 1] end
  end
  return 0
end

-- The authority tells by command c of up to `most` units that others told of: units, and those that its number has yet to show.
local function end_told(b, c, sku, a, most)
  local units, uncounted, left, told = 0, 0, {}, a[A_TOLD]
  if not told or not told[1] then return 0, 0 end
  for i = 1, #told, 3 do
    local taken = math.min(told[i + 1], most - units)
    local ended = math.min(told[i + 2], taken)
    units, uncounted = units + taken, uncounted + ended
    if told[i + 1] > taken then
      left[#left + 1] = told[i]
      left[#left + 1] = told[i + 1] - taken
      left[#left + 1] = told[i + 2] - ended
    end
    local known = math.min(ended, shipped_in(b, sku, a[A_LOCATION], told[i]))
    if known > 0 then log_shipment(b, c, sku, a[A_LOCATION], told[i], -known) end
  end
  set_told(a, left)
  return units, uncounted
end
