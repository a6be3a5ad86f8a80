-- explain: one sku with everything its availability is made of; domain/explain.py makes the terms of it.

local EXPLAIN_DELTAS_MAX = 20000 -- added up in one reading, so that a question does not hold up the ledger

-- Sum and count of the deltas above the last level; -1 as count when they are more than `left`.
local function remembered_deltas(b, place, source, left)
  local key = b.prefix .. 'recent:' .. place .. '\0' .. source
  local count, units = call('HLEN', key), 0
  if count > left then return 0, -1 end
  if count > 0 then
    for _, stored in ipairs(call('HVALS', key)) do units = units + struct.unpack('>i4', stored, 11) end
  end
  return units, count
end

local function explain_sources(b, s, location, place, left)
  local found, p = {}, lookup(b, b.positions, 'pos', place)
  for i, n in ipairs(p[P_SOURCES]) do
    local units, count = remembered_deltas(b, place, n[N_SOURCE], left)
    left = left - math.max(0, count)
    local about = lookup(b, b.sources, 'source', n[N_SOURCE])
    found[i] = { n[N_SOURCE], about and about[2] or '', n[N_NUMBER], n[N_LEVEL], n[N_VERSION], n[N_AS_OF],
      about and about[U.LAG] or 0, units, count, version_less(n[N_VERSION], n[N_FLOOR]),
      free_by(b, s, p, location, n[N_SOURCE]) }
  end
  return found, left
end

-- Whether the seller sells at all now: a campaign within its window, through one of its channels.
local function may_sell(b, channel, campaign)
  if campaign == '' then return true end
  local c = b.policies.campaigns[campaign]
  return c ~= nil and c.opens <= b.now and b.now < c.closes and (#c.names == 0 or c.channels[channel] == true)
end

-- {name, protection, cap, used, version, floor granted} of every seller; those with a floor first, by rank.
local function explain_sellers(b, s, sku)
  local found, known, f = {}, {}, floors_of(b, sku)
  local function add(seller, granted)
    if known[seller[W.NAME]] then return end
    known[seller[W.NAME]] = true
    found[#found + 1] = { seller[W.NAME], seller[W.PROTECTION], seller[W.CAP], seller[W.USED], seller[W.VERSION], granted }
  end
  if f then
    for i, floor in ipairs(granted_now(f)) do add(f.sellers[i], floor) end
  end
  for _, seller in ipairs(s[S.SELLERS]) do add(seller, 0) end
  return found
end

-- What a reserve would be granted if the seller had no ceiling and its campaign were open: at each location, and in all.
local function explain_uncapped(b, sku, asked, locations)
  local s, each, total = new_sourcing(b, asked[1], asked[2], true), {}, 0
  for i, at in ipairs(locations) do
    each[i] = free_units(s, { '', sku, 0, '', '', '' }, at[1][2])
    if at[1][2] == asked[3] then total = each[i] end
  end
  if asked[3] == '' then
    for _, draw in ipairs(fill(s, { '', sku, 0, '', asked[4], '' }, math.huge, {})) do total = total + draw[2] end
  end
  return each, total
end

-- `stock` is what availability.of_sku found.
local function explain_sku(b, asked, stock)
  local sku, left, locations = stock[1], EXPLAIN_DELTAS_MAX, {}
  local s = find_sku(b, sku)
  if not s then return { sku, 0, 0, {}, 0, 0, false, {}, stock[5] } end
  local each, total = explain_uncapped(b, sku, asked, stock[3])
  for i, at in ipairs(stock[3]) do
    local location, place, known = at[1][2], position_key(sku, at[1][2]), nil
    local stored = call('HGET', b.prefix .. 'policy', 'location/' .. location)
    local policy = stored and unpack_one(stored) or { 0, '' }
    known, left = explain_sources(b, s, location, place, left)
    locations[i] = { at[1], at[2], selling(b, s, lookup(b, b.positions, 'pos', place), location), policy[1], policy[2],
      known, each[i], at[4], at[5], at[6], at[3] }
  end
  return { sku, stock[2], s[S.VERSION], locations, total, stock[4], may_sell(b, asked[1], asked[2]),
    explain_sellers(b, s, sku), stock[5] }
end
