-- Sourcing: where the lines of a basket draw, and how much their seller may; domain/rules/sourcing.py gives the reasons.
-- A sourcing is one reading, less what earlier lines took, more what a replaced hold gives back. Lines are
-- {line_id, sku, units, location, group, needed by}.

local function new_sourcing(b, channel, campaign, uncapped)
  return { b = b, channel = channel, seller = seller_name(channel, campaign), uncapped = uncapped, taken = {},
    claims = {}, drawn = {}, back = {}, returned = {} }
end

local function give_back(s, sku, location, units)
  s.back[sku] = s.back[sku] or {}
  s.back[sku][location] = (s.back[sku][location] or 0) + units
end

local function give_back_held(s, r)
  local name = seller_name(r[R_CHANNEL], r[R_CAMPAIGN])
  for _, line in ipairs(r[R_LINES]) do
    local sku = line[L_SKU]
    local foreign = s.b.foreign[sku]
    local seller = not foreign and find_seller(sku_record(s.b, sku), name)
    for _, a in ipairs(foreign and {} or line[L_ALLOCATIONS]) do
      give_back(s, sku, a[A_LOCATION], a[A_HELD])
      if seller and r[R_FIRST] > seller[W.SINCE] then
        local key = position_key(name, sku)
        s.returned[key] = (s.returned[key] or 0) + a[A_HELD]
      end
    end
  end
end

-- What other sellers may claim of a sku, as this basket met it; false where nobody has a claim.
local function claims_of(s, sku)
  local claims = s.claims[sku]
  if claims ~= nil then return claims end
  local f = floors_of(s.b, sku)
  claims = false
  if f then
    local sums, wants = f.sums, {}
    for i, seller in ipairs(f.sellers) do
      local returned = s.returned[position_key(seller[W.NAME], sku)] or 0
      wants[i] = math.max(0, seller[W.PROTECTION] - seller[W.USED] + returned)
    end
    if s.back[sku] then
      sums = {}
      for mask, units in pairs(f.sums) do sums[mask] = units end
      for location, units in pairs(s.back[sku]) do
        if is_active(s.b, location) then
          local mask, free = mask_at(s.b, f, location), free_at(s.b, sku, location, position_key(sku, location))
          sums[mask] = (sums[mask] or 0) + math.max(0, free + units) - math.max(0, free)
        end
      end
    end
    claims = claims_on(sums, f.sellers, wants, s.seller)
  end
  s.claims[sku] = claims
  return claims
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

-- Units the seller may draw here.
local function free_units(s, sku, location)
  local policy = s.b.policies.locations[location]
  if not policy or not policy.active then return 0 end
  local place, back = position_key(sku, location), s.back[sku]
  local units = math.max(0, free_at(s.b, sku, location, place) + (back and back[location] or 0)) - (s.taken[place] or 0)
  local claims, cap = claims_of(s, sku), cap_left(s, sku)
  if claims then
    local mask = mask_at(s.b, s.b.floors[sku], location)
    for _, claim in ipairs(claims) do
      if overlap(claim[1], mask) then units = math.min(units, claim[2]) end
    end
  end
  if cap then units = math.min(units, cap) end
  return math.max(0, units)
end

-- Draw from one location; nothing is no draw, and a negative draw takes one back.
local function take(s, sku, location, quantity, draws)
  if quantity ~= 0 then
    local place, claims = position_key(sku, location), claims_of(s, sku)
    s.taken[place] = (s.taken[place] or 0) + quantity
    s.drawn[sku] = (s.drawn[sku] or 0) + quantity
    if claims then
      local mask = mask_at(s.b, s.b.floors[sku], location)
      for _, claim in ipairs(claims) do
        if overlap(claim[1], mask) then claim[2] = claim[2] - quantity end
      end
    end
    draws[#draws + 1] = { location, quantity }
  end
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
    local units = math.min(quantity, free_units(s, line[2], location))
    take(s, line[2], location, units, draws)
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

local function shortfall(s, index, line, available)
  local sku, asked, group = line[2], line[4], line[5]
  local held, others, own = 0, {}, {}
  if asked ~= '' then
    held = balance(s.b, sku, asked)[6]
    own[asked] = true
  else
    for _, location in ipairs(places_of(s, line)) do
      held = held + balance(s.b, sku, location)[6]
      own[location] = true
    end
  end
  if asked ~= '' or group ~= '' then
    for _, location in ipairs(ranked(s.b, sku, s.channel, '')) do
      local units = not own[location] and #others < OTHERS_MAX and free_units(s, sku, location) or 0
      if units > 0 then others[#others + 1] = { location, units } end
    end
  end
  return { index - 1, sku, line[3], available, held, others, earliest_expiry(s.b, sku) }
end

local function may_draw(s, line, location)
  for _, place in ipairs(places_of(s, line)) do
    if place == location then return true end
  end
  return false
end

-- What the open lines that may draw at a location need there, by sku; nil if `all` must be able to and one is not.
local function needed_at(s, lines, location, all)
  local needed = {}
  for _, line in ipairs(lines) do
    if line[4] == '' then
      if may_draw(s, line, location) then
        needed[line[2]] = (needed[line[2]] or 0) + line[3]
      elseif all then
        return nil
      end
    end
  end
  return needed
end

local function covers(s, needed, location)
  for sku, quantity in pairs(needed) do
    if free_units(s, sku, location) < quantity then return false end
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
    for sku, quantity in pairs(needed_at(s, lines, location)) do
      units = units + math.min(quantity, free_units(s, sku, location))
    end
    if units > most then best, most = location, units end
  end
  return best
end

local function draw_together(s, line, location)
  local units = may_draw(s, line, location) and math.min(line[3], free_units(s, line[2], location)) or 0
  return take(s, line[2], location, units, {})
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
      local available, draws = 0, split and fill(s, line, line[3], {}) or draw_together(s, line, together)
      for _, draw in ipairs(draws) do available = available + draw[2] end
      if available < line[3] then
        for _, draw in ipairs(draws) do take(s, line[2], draw[1], -draw[2], {}) end
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
    if free_units(s, line[2], places[i]) >= line[3] then return places[i] end
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
  s.taken, s.claims, s.drawn = {}, {}, {}
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
        drawn[index] = draw_together(s, line, location)
      else
        drawn[index] = split and fill(s, line, line[3], {}) or {}
      end
      any = any or #drawn[index] > 0
    end
  end
  return drawn, any
end
