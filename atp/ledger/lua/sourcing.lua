-- Sourcing: where the lines of a basket draw, and how much their seller may; domain/rules/sourcing.py gives the reasons.
-- A sourcing is one reading, less what earlier lines took, more what a replaced hold gives back. Lines are
-- {line_id, sku, units, location, group, needed by}; draws are {location, units, day of the supply unless on hand}.

local function new_sourcing(b, channel, campaign, uncapped)
  return { b = b, channel = channel, seller = seller_name(channel, campaign), uncapped = uncapped, taken = {},
    claims = {}, drawn = {}, back = {}, returned = {}, days = {}, pegs_back = {}, split = true }
end

-- Read anew, as if nothing were drawn.
local function begin_reading(s)
  s.taken, s.claims, s.drawn, s.days = {}, {}, {}, {}
end

-- Count units on hand at a position as free.
local function give_back_at(s, sku, location, units)
  s.back[sku] = s.back[sku] or {}
  s.back[sku][location] = (s.back[sku][location] or 0) + units
end

-- Count units of an allocation as free that are about to leave it.
local function give_back(s, line, a, units)
  local sku, location = line[L_SKU], a[A_LOCATION]
  give_back_at(s, sku, location, a[A_SUPPLY] == '' and units or 0)
  if a[A_SUPPLY] ~= '' then
    local place = position_key(sku, location)
    s.pegs_back[place] = s.pegs_back[place] or {}
    table.insert(s.pegs_back[place], { a[A_SUPPLY], line[L_NEEDED], -units })
  end
end

-- Supply at a position with what a replaced hold gives back, nil if there is none; `copy`: to be changed.
local function supply_at(s, place, copy)
  local p = lookup(s.b, s.b.positions, 'pos', place)
  local days, pegs = p and p[P_SUPPLY], s.pegs_back[place]
  if not days or not days[1] then return nil end
  if not copy and not pegs then return days end
  local own = {}
  for i, value in ipairs(days) do own[i] = value end
  for _, back in ipairs(pegs or {}) do peg(own, back[1], back[2], back[3]) end
  return own
end

-- Units of a position that may be promised for a day before the basket drew anything, and as it leaves them.
local function reading(s, sku, location, place, day)
  local back, days = s.back[sku], supply_at(s, place)
  local free = free_at(s.b, sku, location, place) + (back and back[location] or 0)
  return math.max(0, days and lowest(free, days, day, s.b.now) or free)
end

local function capacity(s, sku, location, place, day)
  local back, days = s.back[sku], s.days[place] or supply_at(s, place)
  local free = free_at(s.b, sku, location, place) + (back and back[location] or 0) - (s.taken[place] or 0)
  return math.max(0, days and lowest(free, days, day, s.b.now) or free)
end

local function give_back_held(s, r)
  local name = seller_name(r[R_CHANNEL], r[R_CAMPAIGN])
  for _, line in ipairs(r[R_LINES]) do
    local sku = line[L_SKU]
    local foreign = s.b.foreign[sku]
    local seller = not foreign and find_seller(sku_record(s.b, sku), name)
    for _, a in ipairs(foreign and {} or line[L_ALLOCATIONS]) do
      give_back(s, line, a, a[A_HELD])
      if seller and r[R_FIRST] > seller[W.SINCE] then
        local key = position_key(name, sku)
        s.returned[key] = (s.returned[key] or 0) + a[A_HELD]
      end
    end
  end
end

-- Account for units drawn at a location.
local function draw_claims(s, sku, claims, location, units)
  local mask = mask_at(s.b, s.b.floors[sku], location)
  for _, claim in ipairs(claims) do
    if overlap(claim[1], mask) then claim[2] = claim[2] - units end
  end
end

-- Sums of what may be promised for a day, as the basket met it.
local function sums_for(s, f, sku, day)
  if day == '' and not s.back[sku] then return f.sums end
  local sums, places = {}, nil
  if day == '' then -- only what is given back differs
    places = {}
    for mask, units in pairs(f.sums) do sums[mask] = units end
    for location in pairs(s.back[sku]) do places[#places + 1] = location end
  else
    places = read_positions(s.b, find_sku(s.b, sku), sku)
  end
  for _, location in ipairs(places) do
    if is_active(s.b, location) then
      local mask, place = mask_at(s.b, f, location), position_key(sku, location)
      local known = day == '' and promisable(s.b, f, sku, location, place) or 0
      sums[mask] = (sums[mask] or 0) + reading(s, sku, location, place, day) - known
    end
  end
  return sums
end

-- What other sellers may claim of a sku for a day, as this basket met it; false where nobody has a claim.
local function claims_of(s, sku, day)
  local known = s.claims[sku]
  if not known then
    known = {}
    s.claims[sku] = known
  end
  local claims = known[day]
  if claims ~= nil then return claims end
  local f = floors_of(s.b, sku)
  claims = false
  if f then
    local sums, wants = sums_for(s, f, sku, day), {}
    for i, seller in ipairs(f.sellers) do
      local returned = s.returned[position_key(seller[W.NAME], sku)] or 0
      wants[i] = math.max(0, seller[W.PROTECTION] - seller[W.USED] + returned)
    end
    claims = claims_on(sums, f.sellers, wants, s.seller)
    if claims and s.drawn[sku] then
      for _, location in ipairs(locations_of(s.b, find_sku(s.b, sku), sku)) do
        local place = position_key(sku, location)
        local drawn = reading(s, sku, location, place, day) - capacity(s, sku, location, place, day)
        draw_claims(s, sku, claims, location, drawn)
      end
    end
  end
  known[day] = claims
  return claims
end

-- Units at a location that no other seller has a claim on for a day, nil where nobody has any.
local function unclaimed(s, sku, location, day)
  local claims, left = claims_of(s, sku, day), nil
  if claims then
    local mask = mask_at(s.b, s.b.floors[sku], location)
    for _, claim in ipairs(claims) do
      if overlap(claim[1], mask) then left = math.min(left or claim[2], claim[2]) end
    end
  end
  return left
end

-- What is left of the seller's ceiling, or nil; a campaign has nothing of a sku that is not part of it.
local function cap_left(s, sku)
  if s.uncapped then return nil end
  local record = find_sku(s.b, sku)
  local seller = record and record[S.SELLERS][1] and find_seller(record, s.seller)
  if not seller then return is_campaign(s.seller) and 0 or nil end
  if seller[W.CAP] < 0 then return nil end
  return seller[W.CAP] - seller[W.USED] + (s.returned[position_key(s.seller, sku)] or 0) - (s.drawn[sku] or 0)
end

-- Units the seller may draw here for the line's day, or for `day`.
local function free_units(s, line, location, day)
  local policy = s.b.policies.locations[location]
  if not policy or not policy.active then return 0 end
  local sku, place = line[2], position_key(line[2], location)
  day = day or line[6]
  local units = capacity(s, sku, location, place, day)
  local most, left, cap = units, unclaimed(s, sku, location, day), cap_left(s, sku)
  if left then units = math.min(units, left) end
  local left_now = day ~= '' and unclaimed(s, sku, location, '')
  if left_now then units = math.min(units, left_now + most - capacity(s, sku, location, place, '')) end
  if cap then units = math.min(units, cap) end
  return math.max(0, units)
end

-- Account for units drawn, or with `sign` -1 take that back.
local function draw_parts(s, line, draws, first, sign)
  local sku = line[2]
  for i = first, #draws do
    local location, units, supply = draws[i][1], sign * draws[i][2], draws[i][3]
    local place, claims, before = position_key(sku, location), s.claims[sku] or {}, {}
    local dated = supply or s.days[place]
    for day, list in pairs(claims) do
      if list and dated then before[day] = capacity(s, sku, location, place, day) end
    end
    if supply then
      s.days[place] = s.days[place] or supply_at(s, place, true)
      peg(s.days[place], supply, line[6], units)
    else
      s.taken[place] = (s.taken[place] or 0) + units
    end
    s.drawn[sku] = (s.drawn[sku] or 0) + units
    for day, list in pairs(claims) do
      if list then
        draw_claims(s, sku, list, location, dated and before[day] - capacity(s, sku, location, place, day) or units)
      end
    end
  end
end

-- Draw from one location; nothing is no draw.
local function take(s, line, location, quantity, draws)
  if quantity == 0 then return draws end
  local sku, place, first = line[2], position_key(line[2], location), #draws + 1
  local days = line[6] ~= '' and (s.days[place] or supply_at(s, place))
  if days then
    local left, on_hand = unclaimed(s, sku, location, ''), capacity(s, sku, location, place, '')
    if left then on_hand = math.max(0, math.min(on_hand, left)) end
    for _, part in ipairs(divide(on_hand, days, line[6], s.b.now, quantity)) do
      draws[#draws + 1] = { location, part[1], part[2] ~= '' and part[2] or nil }
    end
  else
    draws[first] = { location, quantity }
  end
  draw_parts(s, line, draws, first, 1)
  return draws
end

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

-- What the open lines that may draw at a location need there, by sku, and the earliest day, as lines; nil if `all` must be able to and one is not.
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
