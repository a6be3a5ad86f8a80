-- Availability: a sku as people read it, and what a reserve of it would be granted now. The law is asked, not repeated:
-- what a reserve could draw at each place, in all, and for a day, is what it would draw.

local availability = {}

-- Units in all that a seller of every location would be granted: what there is less the floors of others, up to its
-- ceiling (R11). To draw at each place in turn comes to the same, since what other sets of sellers may claim is
-- submodular (ADR 3); but this needs no position of a sku whose sums are known.
local function units_everywhere(b, sku, channel, campaign)
  local units, f = 0, floors_of(b, sku)
  if f then
    for _, free in pairs(f.sums) do units = units + free end
    for i, floor in ipairs(granted_now(f)) do
      if f.sellers[i][W.NAME] ~= seller_name(channel, campaign) then units = units - floor end
    end
  else
    local places = ranked(b, sku, channel, '')
    for i = empty_places(b, sku) + 1, #places do
      units = units + promisable(b, f, sku, places[i], position_key(sku, places[i]))
    end
  end
  local cap = cap_left(new_sourcing(b, channel, campaign), sku)
  return math.max(0, cap and math.min(cap, units) or units)
end

-- What one reserve would be granted for a day, '' is now, in all places that are asked about. `asked` is {channel,
-- campaign, location, group, day that promises are asked for}.
local function most(b, sku, asked, day)
  local channel, at, group = asked[1], asked[3], asked[4]
  if not may_sell(b, channel, asked[2]) then return 0 end
  if day == '' and at == '' and group == '' and channel_of(b.policies, channel).everywhere then
    return units_everywhere(b, sku, channel, asked[2])
  end
  local s, line, units = new_sourcing(b, channel, asked[2]), { '', sku, 0, '', group, day }, 0
  if at ~= '' then return sells_at(b.policies, channel, at, group) and free_units(s, line, at) or 0 end
  for _, draw in ipairs(fill(s, line, math.huge, {})) do units = units + draw[2] end
  return units
end

-- Whether `most` needs the sku's positions.
local function adds_up(b, s, asked)
  return s[S.SUMS][1] ~= b.network or asked[3] ~= '' or asked[4] ~= ''
    or not channel_of(b.policies, asked[1]).everywhere
end

-- Days with supply that counts at active locations, in their order.
local function supply_days(b, sku, names)
  local found, known = {}, {}
  for _, location in ipairs(names) do
    local days = is_active(b, location) and find_position(b, sku, location)[P_SUPPLY] or NONE
    for i = 1, #days, 5 do
      if days[i + 1] > b.now and days[i + 2] > 0 and not known[days[i]] then
        known[days[i]] = true
        found[#found + 1] = days[i]
      end
    end
  end
  if found[2] then table.sort(found, bytes_less) end
  return found
end

-- Free units of a position that promises for later days need.
local function promised_later(b, sku, location, p)
  local days = p[P_SUPPLY]
  if not days[1] or not is_active(b, location) then return 0 end
  local free = free_at(b, sku, location, position_key(sku, location))
  return math.max(0, free) - math.max(0, lowest(free, days, '', b.now))
end

-- Add what is known of a source at a position, unless it is there already: {source, role, as of, lag, stale, uncertain}.
local function add_source(b, found, p, location, id)
  for i = 1, #found do
    if found[i][1] == id then return end
  end
  local n, about = find_number(p, id), lookup(b, b.sources, 'source', id)
  local _, uncertain = marks_of(n or NONE)
  local stale = about and about[U.BEATS] and sources.deadline(b, id, about) <= b.now or sources.is_old(b, id, n)
  found[#found + 1] = { id, role_of(b, id, location), n and n[N_AS_OF] or 0, about and about[U.LAG] or 0, stale, uncertain }
end

-- The sources at a position: first the one that is sold, then those that the location lists, then others that said
-- something of it.
local function sources_at(b, s, p, location)
  local policy, found, sold = b.policies.locations[location], {}, selling(b, s, p, location)
  if sold ~= '' then add_source(b, found, p, location, sold) end
  for _, id in ipairs(policy and policy.sources or NONE) do
    if id ~= '' then add_source(b, found, p, location, id) end
  end
  for _, n in ipairs(p[P_SOURCES]) do
    if n[N_SOURCE] ~= '' then add_source(b, found, p, location, n[N_SOURCE]) end
  end
  return found
end

-- The sku's locations that are asked about, in the order of answers: by rank, then those without a policy.
local function places_shown(b, s, sku, asked)
  local channel, at, group, locations, found = asked[1], asked[3], asked[4], b.policies.locations, {}
  for _, location in ipairs(locations_of(b, s, sku)) do
    if (at == '' or at == location) and sells_at(b.policies, channel, location, group) then
      found[#found + 1] = location
    end
  end
  table.sort(found, function(x, y)
    local a, c = locations[x], locations[y]
    if a and c then return a.rank < c.rank end
    if a or c then return a ~= nil end
    return bytes_less(x, y)
  end)
  return found
end

-- No position is before the opening of the epoch, which may have taken back what had a higher one (R2).
local function position_of(b, s) return s and math.max(s[S.SEQ], b.opened) or b.opened end

-- A sku with all that people are shown of it, a struct SkuStock.
function availability.of_sku(b, sku, asked)
  local s, day = find_sku(b, sku), asked[5] or ''
  if not s then return { sku, position_of(b), {}, 0, day ~= '' and { { day, 0 } } or {} } end
  local names, locations, promises = places_shown(b, s, sku, asked), {}, {}
  local line = may_sell(b, asked[1], asked[2]) and { '', sku, 0, '', '', '' }
  local drawing = new_sourcing(b, asked[1], asked[2])
  for i, location in ipairs(names) do
    local policy, p = b.policies.locations[location], find_position(b, sku, location)
    locations[i] = { balance(b, sku, location, p), policy ~= nil and policy.active, sources_at(b, s, p, location),
      line and free_units(drawing, line, location) or 0, promised_later(b, sku, location, p),
      on_fallback(b, p, location) ~= nil }
  end
  for i, due in ipairs(day ~= '' and { day } or supply_days(b, sku, names)) do
    promises[i] = { due, most(b, sku, asked, due) }
  end
  local units = names[2] and most(b, sku, asked, '') or names[1] and locations[1][4] or 0 -- of one place, it has all
  return { sku, position_of(b, s), locations, units, promises }
end

-- What its event says of a sku, a struct SkuUnits: the same number without the places it is made of.
function availability.units_of(b, sku, asked)
  local s = find_sku(b, sku)
  return { sku, position_of(b, s), s and most(b, sku, asked, '') or 0 }
end

local SKUS_TOGETHER, PLACES_TOGETHER = 16, 32

local of_skus = { [2] = true, [7] = true, [8] = true }

-- How many queries from the first one on are about skus and answered one after the other: what they look at is read at
-- once, of few places, for a page of answers may end behind them.
function availability.gather(b, queries, first)
  local skus, wanted, count = {}, {}, 0
  while of_skus[(queries[first + count] or NONE)[1]] and count < SKUS_TOGETHER do
    skus[count + 1] = queries[first + count][2]
    count = count + 1
  end
  fetch(b.prefix .. 'sku', skus, b.skus, unpack_one)
  for i, sku in ipairs(skus) do
    local kind, asked, s = queries[first + i - 1][1], queries[first + i - 1][3], b.skus[sku]
    if s and (kind ~= 8 or adds_up(b, s, asked)) then
      for _, location in ipairs(asked[3] ~= '' and { asked[3] } or locations_of(b, s, sku)) do
        wanted[#wanted + 1] = position_key(sku, location)
      end
    end
    count = i
    if #wanted >= PLACES_TOGETHER then break end
  end
  fetch(b.prefix .. 'pos', wanted, b.positions, unpack_one)
  return count
end
