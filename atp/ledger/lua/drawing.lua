-- Drawing: how much a seller may draw at one position, for now or for a day, and what a draw leaves; see
-- domain/rules/sourcing.py. A sourcing is one reading, less what earlier lines took, more what a replaced hold gives
-- back. Lines are {line_id, sku, units, location, group, needed by}; draws are {location, units, day of the supply unless
-- on hand}.

local NONE = {} -- never written to

local function new_sourcing(b, channel, campaign, uncapped)
  return { b = b, channel = channel, seller = seller_name(channel, campaign), uncapped = uncapped, taken = NONE,
    claims = NONE, drawn = NONE, back = NONE, returned = NONE, days = NONE, pegs_back = NONE, split = true }
end

-- One of the tables that most baskets leave empty, to be written to.
local function own(s, name)
  if s[name] == NONE then s[name] = {} end
  return s[name]
end

-- Read anew, as if nothing were drawn.
local function begin_reading(s)
  s.taken, s.claims, s.drawn, s.days = NONE, NONE, NONE, NONE
end

-- Count units on hand at a position as free.
local function give_back_at(s, sku, location, units)
  local back = own(s, 'back')
  back[sku] = back[sku] or {}
  back[sku][location] = (back[sku][location] or 0) + units
end

-- Count units of an allocation as free that are about to leave it.
local function give_back(s, line, a, units)
  local sku, location = line[L_SKU], a[A_LOCATION]
  give_back_at(s, sku, location, a[A_SUPPLY] == '' and units or 0)
  if a[A_SUPPLY] ~= '' then
    local place = position_key(sku, location)
    local pegs = own(s, 'pegs_back')
    pegs[place] = pegs[place] or {}
    table.insert(pegs[place], { a[A_SUPPLY], line[L_NEEDED], -units })
  end
end

-- Supply at a position with what a replaced hold gives back, nil if there is none; `copy`: to be changed.
local function supply_at(s, place, copy)
  local p = lookup(s.b, s.b.positions, 'pos', place)
  local days, pegs = p and p[P_SUPPLY], s.pegs_back[place]
  if not days or not days[1] then return nil end
  if not copy and not pegs then return days end
  local copy = {}
  for i, value in ipairs(days) do copy[i] = value end
  for _, back in ipairs(pegs or {}) do peg(copy, back[1], back[2], back[3]) end
  return copy
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
        own(s, 'returned')[key] = (s.returned[key] or 0) + a[A_HELD]
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
    own(s, 'claims')[sku] = known
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
  if not floors_of(s.b, sku) then return nil end
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
      own(s, 'days')[place] = s.days[place] or supply_at(s, place, true)
      peg(s.days[place], supply, line[6], units)
    else
      own(s, 'taken')[place] = (s.taken[place] or 0) + units
    end
    own(s, 'drawn')[sku] = (s.drawn[sku] or 0) + units
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
