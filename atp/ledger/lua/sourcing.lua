-- Sourcing: where the lines of a basket draw; domain/rules/sourcing.py gives the reasons, drawing.lua the arithmetic.

local function places_of(s, line) return ranked(s.b, line[2], s.channel, line[5]) end

-- The places of a line that may have units, best rank first: the list, and where in it to begin.
local function search(s, line)
  local places = places_of(s, line)
  if line[5] ~= '' or line[6] ~= '' or s.back[line[2]] or not channel_of(s.b.policies, s.channel).everywhere then
    return places, 1
  end
  local b, sku, known = s.b, line[2], empty_places(s.b, line[2])
  while places[known + 1] and free_at(b, sku, places[known + 1], position_key(sku, places[known + 1])) <= 0 do
    known = known + 1
  end
  b.empty[sku] = known
  return places, known + 1
end

local function fill(s, line, quantity, draws)
  local places, first = search(s, line)
  for i = first, #places do
    local location = places[i]
    if quantity == 0 then break end
    local units = math.min(quantity, free_units(s, line, location))
    take(s, line, location, units, draws)
    quantity = quantity - units
  end
  return draws
end

-- The earliest deadline of units of the sku among the oldest holds; looked up once per batch, at its first refusal.
local function earliest_expiry(b, sku)
  if not b.earliest then
    b.earliest = {}
    local due = call('ZRANGE', b.prefix .. 'due', '(' .. string.format('%.0f', b.now), '+inf', 'BYSCORE', 'LIMIT', 0,
      EXPIRIES_MAX)
    local unread = {}
    for _, id in ipairs(due) do
      if b.raw[identity_of(id)] == nil then unread[#unread + 1] = identity_of(id) end
    end
    fetch(b.prefix .. 'res', unread, b.raw)
    for _, id in ipairs(due) do
      local r = find_by_id(b, id)
      for _, line in ipairs(r and not r.tombstone and r[R_LINES] or {}) do
        for _, a in ipairs(line[L_ALLOCATIONS]) do
          if a[A_HELD] > 0 then
            b.earliest[line[L_SKU]] = math.min(r[R_EXPIRES], b.earliest[line[L_SKU]] or r[R_EXPIRES])
          end
        end
      end
    end
  end
  return b.earliest[sku] or 0
end

-- The first day for which the whole line is possible, or ''; only days of supply make more possible.
local function promise_date(s, line, places)
  local coming, known = {}, {}
  for _, location in ipairs(places) do
    local place = position_key(line[2], location)
    local days = s.days[place] or supply_at(s, place) or {}
    for i = 1, #days, 5 do
      if not known[days[i]] then
        known[days[i]] = true
        coming[#coming + 1] = days[i]
      end
    end
  end
  table.sort(coming, bytes_less)
  for _, day in ipairs(coming) do
    local dated, draws, sum, most = { line[1], line[2], line[3], line[4], line[5], day }, {}, 0, 0
    for _, location in ipairs(places) do
      local units = free_units(s, dated, location)
      if s.split or line[4] ~= '' then take(s, dated, location, units, draws) end
      sum, most = sum + units, math.max(most, units)
    end
    draw_parts(s, dated, draws, 1, -1)
    if (s.split and sum or most) >= line[3] then return day end
  end
  return ''
end

local function shortfall(s, index, line, available)
  local sku, asked, group = line[2], line[4], line[5]
  local held, others, own = 0, {}, {}
  local places = asked ~= '' and { asked } or places_of(s, line)
  if asked ~= '' then
    held = balance(s.b, sku, asked)[6]
    own[asked] = true
  else
    for _, location in ipairs(places) do
      held = held + balance(s.b, sku, location)[6]
      own[location] = true
    end
  end
  if asked ~= '' or group ~= '' then
    for _, location in ipairs(ranked(s.b, sku, s.channel, '')) do
      local units = not own[location] and #others < OTHERS_MAX and free_units(s, line, location, '') or 0
      if units > 0 then others[#others + 1] = { location, units } end
    end
  end
  return { index - 1, sku, line[3], available, held, others, earliest_expiry(s.b, sku),
    promise_date(s, line, places) }
end

local function may_draw(s, line, location)
  for _, place in ipairs(places_of(s, line)) do
    if place == location then return true end
  end
  return false
end

-- What the open lines that may draw at a location need there: one line per sku, with the earliest day. nil if `all` lines
-- must be able to and one is not.
local function needed_at(s, lines, location, all)
  local needed = {}
  for _, line in ipairs(lines) do
    if line[4] == '' then
      if may_draw(s, line, location) then
        local known = needed[line[2]]
        local day = known and bytes_less(known[6], line[6]) and known[6] or line[6]
        needed[line[2]] = { '', line[2], (known and known[3] or 0) + line[3], '', '', day }
      elseif all then
        return nil
      end
    end
  end
  return needed
end

local function covers(s, needed, location)
  for _, line in pairs(needed) do
    if free_units(s, line, location) < line[3] then return false end
  end
  return true
end

-- The first location by rank that covers all lines that name none.
local function one_location(s, lines)
  local first
  for _, line in ipairs(lines) do first = first or line[4] == '' and line end
  for _, location in ipairs(places_of(s, first)) do
    local needed = needed_at(s, lines, location, true)
    if needed and covers(s, needed, location) then return location end
  end
end

-- The location that grants most units of the lines that name none; ties by rank.
local function best_location(s, lines)
  local known, places = {}, {}
  for _, line in ipairs(lines) do
    for _, location in ipairs(line[4] == '' and places_of(s, line) or {}) do
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
    for _, line in pairs(needed_at(s, lines, location)) do
      units = units + math.min(line[3], free_units(s, line, location))
    end
    if units > most then best, most = location, units end
  end
  return best
end

local function draw_together(s, line, location)
  local units = may_draw(s, line, location) and math.min(line[3], free_units(s, line, location)) or 0
  return take(s, line, location, units, {})
end

-- The order in which lines draw: those of earlier days first.
local function by_day(lines)
  local order, dated = {}, false
  for index, line in ipairs(lines) do
    order[index], dated = index, dated or line[6] ~= ''
  end
  if dated then
    table.sort(order, function(x, y)
      local a, c = lines[x][6], lines[y][6]
      if a ~= c then return bytes_less(a, c) end
      return x < y
    end)
  end
  return order
end

-- Lines that cannot be met; located lines draw first, since they have no other place to go.
local function shortfalls_of(s, lines, split)
  local found, open, order = {}, false, by_day(lines)
  s.split = split
  for _, index in ipairs(order) do
    local line = lines[index]
    if line[4] == '' then
      open = true
    else
      local available = free_units(s, line, line[4])
      if available < line[3] then
        found[#found + 1] = shortfall(s, index, line, available)
      else
        take(s, line, line[4], line[3], {})
      end
    end
  end
  local together = open and not split and best_location(s, lines)
  for _, index in ipairs(open and order or {}) do
    local line = lines[index]
    if line[4] == '' then
      local available, draws = 0, split and fill(s, line, line[3], {}) or draw_together(s, line, together)
      for _, draw in ipairs(draws) do available = available + draw[2] end
      if available < line[3] then
        draw_parts(s, line, draws, 1, -1)
        found[#found + 1] = shortfall(s, index, line, available)
      end
    end
  end
  if #found > 1 then table.sort(found, function(x, y) return x[1] < y[1] end) end
  return found
end

local function whole_line(s, line)
  local places, first = search(s, line)
  for i = first, #places do
    if free_units(s, line, places[i]) >= line[3] then return places[i] end
  end
end

-- The common baskets in one look: a single line, or lines without a location that one location covers, none of them for
-- a later day. Nil for all others, which are looked at in full and would be drawn the same way.
local function draw_quickly(s, lines)
  if #lines == 1 and lines[1][4] ~= '' and lines[1][6] == '' then
    local line = lines[1]
    return free_units(s, line, line[4]) >= line[3] and { { { line[4], line[3] } } } or nil
  end
  for _, line in ipairs(lines) do
    if line[4] ~= '' or line[6] ~= '' then return nil end
  end
  local location = #lines == 1 and whole_line(s, lines[1]) or #lines > 1 and one_location(s, lines)
  if not location then return nil end
  local drawn = {}
  for index, line in ipairs(lines) do drawn[index] = { { location, line[3] } } end
  return drawn
end

-- Where each line draws: everything where it can be had, else what there is. Also whether anything was drawn.
local function draw_lines(s, lines, split)
  begin_reading(s)
  local drawn, open, any, order = {}, false, false, by_day(lines)
  for _, index in ipairs(order) do
    local line = lines[index]
    if line[4] == '' then
      open = true
    else
      drawn[index] = take(s, line, line[4], math.min(line[3], free_units(s, line, line[4])), {})
      any = any or #drawn[index] > 0
    end
  end
  if not open then return drawn, any end
  local together = one_location(s, lines)
  if not together and not split then together = best_location(s, lines) end
  for _, index in ipairs(order) do
    local line = lines[index]
    if line[4] == '' then
      local location = together or whole_line(s, line)
      if location and location ~= '' then
        drawn[index] = draw_together(s, line, location)
      else
        drawn[index] = split and fill(s, line, line[3], {}) or {}
      end
      any = any or #drawn[index] > 0
    end
  end
  return drawn, any
end
