-- Reserve: domain/rules/reserve.py gives the reasons.

-- Free units of one reading, less what earlier lines of the same basket take.
local function free_units(b, taken, sku, location)
  local policy = b.policies.locations[location]
  if not policy or not policy.active then return 0 end
  return math.max(0, free_of(balance(b, sku, location)) - (taken[position_key(sku, location)] or 0))
end

local function take(taken, sku, location, quantity)
  local place = position_key(sku, location)
  taken[place] = (taken[place] or 0) + quantity
end

local function fill(b, taken, sku, quantity)
  local draws = {}
  for _, location in ipairs(ranked(b, sku)) do
    if quantity == 0 then break end
    local units = math.min(quantity, free_units(b, taken, sku, location))
    if units > 0 then
      take(taken, sku, location, units)
      draws[#draws + 1] = { location, units }
      quantity = quantity - units
    end
  end
  return draws
end

local function shortfall(b, taken, index, line, available)
  local sku, asked = line[2], line[4]
  local held, others = 0, {}
  for _, location in ipairs(ranked(b, sku)) do
    if asked == '' then
      held = held + balance(b, sku, location)[6]
    elseif location ~= asked and #others < OTHERS_MAX then
      local units = free_units(b, taken, sku, location)
      if units > 0 then others[#others + 1] = { location, units } end
    end
  end
  if asked ~= '' then held = balance(b, sku, asked)[6] end
  return { index - 1, sku, line[3], available, held, others }
end

-- Lines that cannot be met; located lines draw first, since they have no other place to go.
local function shortfalls_of(b, lines)
  local taken, found = {}, {}
  for index, line in ipairs(lines) do
    if line[4] ~= '' then
      local available = free_units(b, taken, line[2], line[4])
      if available < line[3] then
        found[#found + 1] = shortfall(b, taken, index, line, available)
      else
        take(taken, line[2], line[4], line[3])
      end
    end
  end
  for index, line in ipairs(lines) do
    if line[4] == '' then
      local available = 0
      for _, location in ipairs(ranked(b, line[2])) do
        available = available + free_units(b, taken, line[2], location)
        -- Enough is known to hold the line; only a refusal needs the whole sum.
        if available >= line[3] then break end
      end
      if available < line[3] then
        found[#found + 1] = shortfall(b, taken, index, line, available)
      else
        fill(b, taken, line[2], line[3])
      end
    end
  end
  table.sort(found, function(x, y) return x[1] < y[1] end)
  return found
end

local function one_location(b, taken, lines)
  local needed = {}
  for _, line in ipairs(lines) do needed[line[2]] = (needed[line[2]] or 0) + line[3] end
  for _, location in ipairs(ranked(b, lines[1][2])) do
    local covers = true
    for sku, quantity in pairs(needed) do
      if free_units(b, taken, sku, location) < quantity then
        covers = false
        break
      end
    end
    if covers then return location end
  end
end

local function whole_line(b, taken, line)
  for _, location in ipairs(ranked(b, line[2])) do
    if free_units(b, taken, line[2], location) >= line[3] then return location end
  end
end

-- Where each line draws, for a basket that has no shortfalls.
local function source_lines(b, lines)
  local taken, drawn, open = {}, {}, {}
  for index, line in ipairs(lines) do
    if line[4] == '' then
      open[#open + 1] = line
    else
      take(taken, line[2], line[4], line[3])
      drawn[index] = { { line[4], line[3] } }
    end
  end
  if #open == 0 then return drawn end
  local together = one_location(b, taken, open)
  for index, line in ipairs(lines) do
    if line[4] == '' then
      local location = together or whole_line(b, taken, line)
      if location then
        take(taken, line[2], location, line[3])
        drawn[index] = { { location, line[3] } }
      else
        drawn[index] = fill(b, taken, line[2], line[3])
      end
    end
  end
  return drawn
end

local function hold(b, c, drawn)
  local seq, lines = next_seq(b), {}
  for index, line in ipairs(c[11]) do
    local allocations = {}
    for _, draw in ipairs(drawn[index]) do
      allocations[#allocations + 1] = { draw[1], '', draw[2], 0, 0, 0, 0, 0 }
      move_position(b, line[2], draw[1], draw[2], 0)
    end
    lines[index] = { line[1], line[2], line[3], allocations }
  end
  local r = { FORMAT, b.now, b.now + c[10], seq, seq, c[3], c[4], c[5], c[6], c[7], c[8], c[9], lines, {},
    string.sub(c[2], 1, 3) }
  local record, balances = keep(b, c[2], r, seq, 1)
  log_reservation(b, E_HELD, seq, c[4], c[12], record, balances)
  return APPLIED, seq, record
end

-- Two generations bound the memory of refusals; which are read is known from the batch's time alone.
local function rotate_refusals(b)
  local age = b.now - b.refused_since
  if age >= REFUSED_MS or b.refused_count >= REFUSED_MAX then
    b.refused_gen = b.refused_gen + (age < 2 * REFUSED_MS and 1 or 2)
    b.refused_since, b.refused_count = b.now, 0
  end
end

local function find_refusal(b, identity)
  local known = b.refused[identity]
  if known and known.gen >= b.refused_gen - 1 then return known.value end
end

local function reserve(b, c)
  rotate_refusals(b)
  local identity = identity_of(c[2])
  local known = find_reservation(b, identity)
  if known then
    if known[R_FINGERPRINT] ~= c[3] or not find_by_id(b, c[2]) then return KEY_REUSED, b.seq end
    return REPLAYED, known[R_SEQ], packed(b, c[2]), nil, nil, true
  end
  local refusal = find_refusal(b, identity)
  if refusal then
    if refusal[1] ~= c[3] then return KEY_REUSED, b.seq end
    return refusal[2], b.seq, nil, refusal[3], refusal[4], true
  end
  for index, line in ipairs(c[11]) do
    if line[4] ~= '' and not b.policies.locations[line[4]] then
      return UNKNOWN_LOCATION, b.seq, nil, nil, tostring(index - 1)
    end
  end
  local shortfalls = shortfalls_of(b, c[11])
  if #shortfalls > 0 then
    if b.due_left then return AGAIN, b.seq end
    local value = { c[3], INSUFFICIENT, shortfalls, '' }
    b.refused[identity] = { gen = b.refused_gen, value = value }
    b.new_refused[identity] = { b.refused_gen, value }
    b.refused_count = b.refused_count + 1
    return INSUFFICIENT, b.seq, nil, shortfalls
  end
  return hold(b, c, source_lines(b, c[11]))
end
