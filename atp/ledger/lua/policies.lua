-- Policies the law reads, decoded once and kept between calls. The cache is only a cache: it belongs to one birth of
-- one partition at one policy version, and any change empties it.

local policy_cache = {}

-- JSON null is a value of its own; here it is nothing.
local function given(value)
  if value ~= cjson.null then return value end
end

local function set_of(names)
  local set = {}
  for _, name in ipairs(given(names) or {}) do set[name] = true end
  return set
end

local function rank_locations(policies)
  local ids, locations = {}, policies.locations
  for id in pairs(locations) do ids[#ids + 1] = id end
  table.sort(ids, function(a, b)
    local x, y = locations[a].priority, locations[b].priority
    if x ~= y then return x < y end
    return bytes_less(a, b)
  end)
  for rank, id in ipairs(ids) do locations[id].rank = rank end
end

local read_body = {}

function read_body.location(body)
  local policy = cjson.decode(body)
  local location = { priority = policy.priority or 0, active = policy.active ~= false, listed = false,
    groups = set_of(policy.groups), roles = {}, sources = {} }
  for i, entry in ipairs(policy.sources or {}) do
    location.listed, location.sources[i] = true, entry.source
    location.roles[entry.source] = location.roles[entry.source] or entry.role
    if entry.role == 'authority' and not location.authority then location.authority = entry.source end
    if entry.role == 'fallback' and not location.fallback then location.fallback = entry.source end
    if entry.role == 'adjuster' then location.adjusted = true end
  end
  return location
end

function read_body.source(body)
  local policy = cjson.decode(body)
  return { measure = policy.measure or 'on_hand', version = policy.version or '',
    guard = policy.full_guard_percent or GUARD_PERCENT,
    stale_after_ms = (policy.stale_after_seconds or 900) * 1000 }
end

local OPEN_CHANNEL = { priority = 0, locations = {}, groups = {}, everywhere = true, max_hold_ms = 14400000 }

function read_body.channel(body)
  local policy = cjson.decode(body)
  local locations, groups = set_of(policy.locations), set_of(policy.location_groups)
  return { priority = policy.priority or 0, locations = locations, groups = groups,
    everywhere = next(locations) == nil and next(groups) == nil,
    held_max = given(policy.held_units_per_customer),
    max_hold_ms = policy.max_hold_seconds and policy.max_hold_seconds * 1000 or OPEN_CHANNEL.max_hold_ms }
end

function read_body.campaign(body)
  local policy = cjson.decode(body)
  return { opens = policy.opens, closes = policy.closes, skus = policy.skus or {}, names = policy.channels or {},
    channels = set_of(policy.channels), ttl_ms = (policy.ttl_seconds or 300) * 1000,
    per_customer = given(policy.per_customer), waiting_room = policy.waiting_room == true }
end

local KINDS = { location = 'locations', source = 'sources', channel = 'channels', campaign = 'campaigns' }

local function load_policies(prefix, meta)
  local cached = policy_cache[prefix]
  if cached and cached.birth == meta.birth and cached.version == meta.policy_version then return cached end
  local policies = { birth = meta.birth, version = meta.policy_version, locations = {}, sources = {}, channels = {},
    campaigns = {}, groups = {}, authorities = {}, records = {}, standing = {}, orders = {}, order_count = 0, names = {} }
  local stored = call('HGETALL', prefix .. 'policy')
  for i = 1, #stored, 2 do
    local kind, id = string.match(stored[i], '^([%l-]+)/(.*)$')
    if KINDS[kind] then
      policies[KINDS[kind]][id] = read_body[kind](unpack_one(stored[i + 1])[2])
    elseif kind == 'location-group' then
      policies.groups[id] = true
    end
  end
  local records = call('HGETALL', prefix .. 'location')
  for i = 1, #records, 2 do policies.records[records[i]] = unpack_one(records[i + 1]) end
  local taken = call('HGETALL', prefix .. 'authority')
  for i = 1, #taken, 2 do policies.authorities[taken[i]] = taken[i + 1] end
  if next(policies.campaigns) then
    local standing = call('HGETALL', prefix .. 'campaign')
    for i = 1, #standing, 2 do policies.standing[standing[i]] = unpack_one(standing[i + 1]) end
  end
  rank_locations(policies)
  policy_cache[prefix] = policies
  return policies
end

-- What the law concludes from policies is worth nothing once one of them changes: orders of locations, floors.
local function network_changed(b, seq)
  b.policies.version = nil -- read again by the next batch
  b.policies.orders, b.policies.order_count, b.policies.names = {}, 0, {}
  b.ranked, b.floors, b.empty, b.network = {}, {}, {}, seq
end

-- Replace a body that is kept with the policies.
local function put_body(b, kind, id, body, seq, version)
  b.dirty_policies[kind .. '/' .. id] = pack({ version, body })
  b.policy_version = seq
  network_changed(b, seq)
  if KINDS[kind] then b.policies[KINDS[kind]][id] = read_body[kind](body) end
  if kind == 'location' then rank_locations(b.policies) end
  if kind == 'location-group' then b.policies.groups[id] = true end
end

local function channel_of(policies, channel) return policies.channels[channel] or OPEN_CHANNEL end

-- Whether the channel may sell from the location, and it is in the group if one is named.
local function sells_at(policies, channel, location, group)
  local policy, sells = policies.locations[location], channel_of(policies, channel)
  if group ~= '' and not (policy and policy.groups[group]) then return false end
  if sells.everywhere or sells.locations[location] then return true end
  for name in pairs(policy and policy.groups or {}) do
    if sells.groups[name] then return true end
  end
  return false
end

-- Whether there is such a group, and whether the channel may sell from any location of it.
local function find_group(policies, channel, group)
  local known, serves = policies.groups[group], false
  for id, policy in pairs(policies.locations) do
    if policy.groups[group] then
      known = true
      serves = serves or sells_at(policies, channel, id, group)
    end
  end
  return known, serves
end

-- The source whose number counts at a location: the listed authority, else the first that sent a level.
local function authority_of(b, location)
  local policy = b.policies.locations[location]
  if policy and policy.listed then return policy.authority or '' end
  return b.policies.authorities[location] or ''
end

-- What a source's number is at a location: authority, adjuster, fallback, else shadow.
local function role_of(b, source, location)
  local policy = b.policies.locations[location]
  if policy and policy.listed then return policy.roles[source] or 'shadow' end
  return authority_of(b, location) == source and 'authority' or 'shadow'
end

-- The source whose number a change told by `source` moves: an adjuster's authority, else itself.
local function counted_as(b, source, location)
  if role_of(b, source, location) ~= 'adjuster' then return source end
  return b.policies.locations[location].authority or source
end

-- What a source's numbers are: on_hand, sellable or available.
local function measure_of(b, source)
  local policy = b.policies.sources[source]
  return policy and policy.measure or 'on_hand'
end

local function take_authority(b, location, source, cause)
  b.policies.authorities[location] = source
  b.dirty_authorities[location] = source
  log(b, pack({ E.AUTHORITY, next_seq(b), b.now, '', cause, location, source }))
  network_changed(b, b.seq)
end

-- Orders of location sets kept with the policies: skus share few sets.
local ORDERS_MAX = 1000

-- The locations of a sku, as names and not as the one text that its record keeps.
local function locations_of(b, s, sku)
  local joined, names = places_text(b, s, sku), b.policies.names
  if not names[joined] then
    local found = {}
    for name in string.gmatch(joined, '[^%z]+') do found[#found + 1] = name end
    if b.policies.order_count >= ORDERS_MAX then return found end
    names[joined] = found
    b.policies.order_count = b.policies.order_count + 1
  end
  return names[joined]
end

local function rank_set(policies, names, channel, group)
  local found = {}
  for _, id in ipairs(names) do
    local policy = policies.locations[id]
    if policy and policy.active and sells_at(policies, channel, id, group) then found[#found + 1] = id end
  end
  table.sort(found, function(x, y) return policies.locations[x].rank < policies.locations[y].rank end)
  return found
end

-- Active locations of the channel, and of the group if one is named, that have a position of the sku, best rank first.
local function ranked(b, sku, channel, group)
  local scope = channel_of(b.policies, channel).everywhere and '' or channel
  if group ~= '' then scope = scope .. SEPARATOR .. group end
  local scopes = b.ranked[sku]
  if not scopes then
    scopes = {}
    b.ranked[sku] = scopes
  end
  local found = scopes[scope]
  if found then return found end
  local s, policies = find_sku(b, sku), b.policies
  if s then
    local set = places_text(b, s, sku) .. SEPARATOR .. scope
    found = policies.orders[set]
    if not found then
      found = rank_set(policies, locations_of(b, s, sku), channel, group)
      if policies.order_count >= ORDERS_MAX then policies.orders, policies.order_count, policies.names = {}, 0, {} end
      policies.orders[set], policies.order_count = found, policies.order_count + 1
    end
  end
  scopes[scope] = found or {}
  return scopes[scope]
end

-- How many places at the head of the sku's order are known to have nothing: [network, how many] in its record. They are
-- skipped when units are looked for, so that a sku whose stock is far down its order costs no more than another.
local function empty_places(b, sku)
  local known = b.empty[sku]
  if not known then
    local s = find_sku(b, sku)
    known = s and s[S.EMPTY][1] == b.network and s[S.EMPTY][2] or 0
    b.empty[sku] = known
  end
  return known
end
