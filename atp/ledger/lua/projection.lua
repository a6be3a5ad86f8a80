-- Projection: what may be promised for a day; domain/projection.py gives the reasons. A position's supply is a flat
-- list of days in their order: day, start (ms), units expected, units pegged to it, units due by it.

-- Where a day is in the list; it is added if there is none.
local function day_at(days, day)
  local at = 1
  while days[at] and bytes_less(days[at], day) do at = at + 5 end
  if days[at] ~= day then
    for slot, value in ipairs({ day, 0, 0, 0, 0 }) do table.insert(days, at + slot - 1, value) end
  end
  return at
end

-- Drop a day that nothing hangs on.
local function tidy(days, day)
  local at = day_at(days, day)
  if days[at + 2] == 0 and days[at + 3] == 0 and days[at + 4] == 0 then
    for _ = 1, 5 do table.remove(days, at) end
  end
end

-- The lowest projection from `day` on, negative in a shortage; '' is now.
local function lowest(free, days, day, now)
  local projected, low = free, nil
  for i = 1, #days, 5 do
    if not low and bytes_less(day, days[i]) then low = projected end
    projected = projected + (days[i + 1] > now and days[i + 2] or 0) - days[i + 4]
    if low then low = math.min(low, projected) end
  end
  return low or projected
end

-- Where the latest day up to `day` is whose supply still counts (0: nowhere), and supply up to it that nobody named.
local function supply_until(days, day, now)
  local latest, room = 0, 0
  for at = 1, #days, 5 do
    if bytes_less(day, days[at]) then break end
    if days[at + 1] > now and days[at + 2] > 0 then
      latest, room = at, room + math.max(0, days[at + 2] - days[at + 3])
    end
  end
  return latest, room
end

-- How units that may be promised for `day` are kept: {units, day of the supply}, '' for stock on hand, of which at most
-- `on_hand` may be taken. The latest supply that still meets the day goes first; what is wanted beyond all that nobody
-- named hangs on the latest once more.
local function divide(on_hand, days, day, now, quantity)
  local latest, room = supply_until(days, day, now)
  local wanted = math.max(math.min(quantity, room), quantity - on_hand)
  local parts, beyond = {}, math.max(0, wanted - room)
  if quantity > wanted then parts[1] = { quantity - wanted, '' } end
  local left = wanted - beyond
  for at = latest, 1, -5 do
    local units = 0
    if days[at + 1] > now then units = math.min(left, math.max(0, days[at + 2] - days[at + 3])) end
    left = left - units
    if at == latest then units = units + beyond end
    if units > 0 then parts[#parts + 1] = { units, days[at] } end
  end
  return parts
end

-- Promise units of the supply of one day for another; negative ones give back.
local function peg(days, supply, needed_by, units)
  local at = day_at(days, supply)
  days[at + 3] = days[at + 3] + units
  at = day_at(days, needed_by)
  days[at + 4] = days[at + 4] + units
  tidy(days, supply)
  tidy(days, needed_by)
end

-- More units are expected on a day that starts at `starts`, or fewer.
local function expect(days, day, starts, units)
  if units == 0 then return end
  local at = day_at(days, day)
  days[at + 2] = days[at + 2] + units
  if units > 0 then days[at + 1] = starts end
  tidy(days, day)
end

-- Make one slot of a day another number; the day begins at `starts`, if that is known.
local function set_day(days, day, slot, units, starts)
  local at = day_at(days, day)
  days[at + slot] = units
  if starts > 0 then days[at + 1] = starts end
  tidy(days, day)
end

-- Units of an allocation changed: those of stock on hand count in the position, the others on their days.
local function shift_units(b, line, a, held, committed)
  if b.foreign[line[L_SKU]] then return end -- of another partition, where a leg follows
  local p = position_record(b, line[L_SKU], a[A_LOCATION])
  if a[A_SUPPLY] == '' then
    p[P_HELD] = p[P_HELD] + held
    p[P_COMMITTED] = p[P_COMMITTED] + committed
  else
    peg(p[P_SUPPLY], a[A_SUPPLY], line[L_NEEDED], held + committed)
  end
end
