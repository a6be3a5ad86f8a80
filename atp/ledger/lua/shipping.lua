-- Shipping: units that left by the word of others than the location's source; domain/rules/shipping.py gives the reasons.

local shipping = {}

-- Keep units subtracted from the position, as of a minute; negative ones are shown by now.
function shipping.ship(b, sku, location, minute, units)
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

-- Others told of units of an allocation; the position keeps `uncounted` of them. The last minutes may be one.
function shipping.note_told(a, minute, units, uncounted)
  tallies.fill(a)
  local told = a[A_TOLD]
  local n = #told
  if n > 0 and (told[n - 2] == minute or n >= 3 * TOLD_MAX) then
    told[n - 1], told[n] = told[n - 1] + units, told[n] + uncounted
  else
    told[n + 1], told[n + 2], told[n + 3] = minute, units, uncounted
  end
end

function shipping.shipped_in(b, sku, location, minute)
  local shipped = position_record(b, sku, location)[P_SHIPPED]
  for i = 1, #shipped, 2 do
    if shipped[i] == minute then return shipped[i + 1] end
  end
  return 0
end

-- The authority tells of up to `most` units that others told of: {minute, units, those that the position keeps} each.
function shipping.end_told(a, most)
  local ended, left, told = {}, {}, a[A_TOLD] or {}
  for i = 1, #told, 3 do
    local taken = math.min(told[i + 1], most)
    local kept = math.min(told[i + 2], taken)
    most = most - taken
    if taken > 0 then ended[#ended + 1] = { told[i], taken, kept } end
    if told[i + 1] > taken then
      left[#left + 1] = told[i]
      left[#left + 1] = told[i + 1] - taken
      left[#left + 1] = told[i + 2] - kept
    end
  end
  if told[1] then a[A_TOLD] = left end
  return ended
end
