-- Sourcing: where the lines of a basket draw; domain/rules/sourcing.py gives the reasons. A sourcing is one reading of
-- free units, less what earlier lines took, more what a replaced hold gives back. Lines are {line_id, sku, units, at}.

local function new_sourcing(b) return { b = b, taken = {}, back = {} } end

local function give_back_held(s, r)
  for _, line in ipairs(r[R_LINES]) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      local place = position_key(line[L_SKU], a[A_LOCATION])
      s.back[place] = (s.back[place] or 0) + a[A_HELD]
    end
  end
end

local function free_units(s, sku, location)
  local policy = s.b.policies.locations[location]
  if not policy or not policy.active then return 0 end
  local place = position_key(sku, location)
  return math.max(0, free_at(s.b, sku, location, place) + (s.back[place] or 0) - (s.taken[place] or 0))
end

-- Draw from one location; nothing is no draw.
local function take(s, sku, location, quantity, draws)
  if quantity > 0 then
    local place = position_key(sku, location)
    s.taken[place] = (s.taken[place] or 0) + quantity
    draws[#draws + 1] = { location, quantity }
  end
  return draws
end

local function fill(s, sku, quantity, draws)
  for _, location in ipairs(ranked(s.b, sku)) do
    if quantity == 0 then break end
    local units = math.min(quantity, free_units(s, sku, location))
    take(s, sku, location, units, draws)
    quantity = quantity - units
  end
  return draws
end

local function shortfall(s, index, line, available)
  local sku, asked = line[2], line[4]
  local held, others = 0, {}
  for _, location in ipairs(ranked(s.b, sku)) do
    if asked == '' then
      held = held + balance(s.b, sku, location)[6]
    elseif location ~= asked and #others < OTHERS_MAX then
      local units = free_units(s, sku, location)
      if units > 0 then others[#others + 1] = { location, units } end
    end
  end
  if asked ~= '' then held = balance(s.b, sku, asked)[6] end
  return { index - 1, sku, line[3], available, held, others }
end

-- What the lines without a location need of each sku, and the first of those lines.
local function needed_units(lines)
  local needed, first = {}, nil
  for _, line in ipairs(lines) do
    if line[4] == '' then
      first = first or line
      needed[line[2]] = (needed[line[2]] or 0) + line[3]
    end
  end
  return needed, first
end

local function covers(s, needed, location)
  for sku, quantity in pairs(needed) do
    if free_units(s, sku, location) < quantity then return false end
  end
  return true
end

-- The first location by rank that covers all lines that name none.
local function one_location(s, lines)
  local needed, first = needed_units(lines)
  for _, location in ipairs(ranked(s.b, first[2])) do
    if covers(s, needed, location) then return location end
  end
end

-- The location that grants most units of the lines that name none; ties by rank.
local function best_location(s, lines)
  local needed, known, places = needed_units(lines), {}, {}
  for sku in pairs(needed) do
    for _, location in ipairs(ranked(s.b, sku)) do
      if not known[location] then
        known[location] = true
        places[#places + 1] = location
      end
    end
  end
  local locations = s.b.policies.locations
  table.sort(places, function(x, y) return locations[x].rank < locations[y].rank end)
  local best, most = '', 0
  for _, location in ipairs(places) do
    local units = 0
    for sku, quantity in pairs(needed) do units = units + math.min(quantity, free_units(s, sku, location)) end
    if units > most then best, most = location, units end
  end
  return best
end

-- Units an open line may draw, as far as it matters: enough is enough, only a refusal needs the whole sum.
local function open_units(s, line)
  local available = 0
  for _, location in ipairs(ranked(s.b, line[2])) do
    available = available + free_units(s, line[2], location)
    if available >= line[3] then break end
  end
  return available
end

-- Lines that cannot be met; located lines draw first, since they have no other place to go.
local function shortfalls_of(s, lines, split)
  local found, open = {}, false
  for index, line in ipairs(lines) do
    if line[4] == '' then
      open = true
    else
      local available = free_units(s, line[2], line[4])
      if available < line[3] then
        found[#found + 1] = shortfall(s, index, line, available)
      else
        take(s, line[2], line[4], line[3], {})
      end
    end
  end
  if not open then return found end
  local together = not split and best_location(s, lines)
  for index, line in ipairs(lines) do
    if line[4] == '' then
      local available = split and open_units(s, line) or free_units(s, line[2], together)
      if available < line[3] then
        found[#found + 1] = shortfall(s, index, line, available)
      elseif split then
        fill(s, line[2], line[3], {})
      else
        take(s, line[2], together, line[3], {})
      end
    end
  end
  if #found > 1 then table.sort(found, function(x, y) return x[1] < y[1] end) end
  return found
end

local function whole_line(s, line)
  for _, location in ipairs(ranked(s.b, line[2])) do
    if free_units(s, line[2], location) >= line[3] then return location end
  end
end

-- The common baskets in one look: a single line, or lines without a location that one location covers. Nil for all
-- others, which are looked at in full and would be drawn the same way.
local function draw_quickly(s, lines)
  if #lines == 1 and lines[1][4] ~= '' then
    local line = lines[1]
    return free_units(s, line[2], line[4]) >= line[3] and { { { line[4], line[3] } } } or nil
  end
  for _, line in ipairs(lines) do
    if line[4] ~= '' then return nil end
  end
  local location = #lines == 1 and whole_line(s, lines[1]) or #lines > 1 and one_location(s, lines)
  if not location then return nil end
  local drawn = {}
  for index, line in ipairs(lines) do drawn[index] = { { location, line[3] } } end
  return drawn
end

-- Where each line draws: everything where it can be had, else what there is. Also whether anything was drawn.
local function draw_lines(s, lines, split)
  s.taken = {}
  local drawn, open, any = {}, false, false
  for index, line in ipairs(lines) do
    if line[4] == '' then
      open = true
    else
      drawn[index] = take(s, line[2], line[4], math.min(line[3], free_units(s, line[2], line[4])), {})
      any = any or #drawn[index] > 0
    end
  end
  if not open then return drawn, any end
  local together = one_location(s, lines)
  if not together and not split then together = best_location(s, lines) end
  for index, line in ipairs(lines) do
    if line[4] == '' then
      local location = together or whole_line(s, line)
      if location and location ~= '' then
        drawn[index] = take(s, line[2], location, math.min(line[3], free_units(s, line[2], location)), {})
      else
        drawn[index] = split and fill(s, line[2], line[3], {}) or {}
      end
      any = any or #drawn[index] > 0
    end
  end
  return drawn, any
end
