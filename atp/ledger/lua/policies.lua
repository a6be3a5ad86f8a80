-- Policies the law reads, decoded once and kept between calls. The cache is only a cache: it belongs to one birth of
-- one partition at one policy version, and any change empties it.

local policy_cache = {}

local function rank_locations(locations)
  local ids = {}
  for id in pairs(locations) do ids[#ids + 1] = id end
  table.sort(ids, function(a, b)
    local x, y = locations[a].priority, locations[b].priority
    if x ~= y then return x < y end
    return bytes_less(a, b)
  end)
  for rank, id in ipairs(ids) do locations[id].rank = rank end
end

local function read_location(body)
  local policy = cjson.decode(body)
  local location = { priority = policy.priority or 0, active = policy.active ~= false, listed = false }
  for _, entry in ipairs(policy.sources or {}) do
    location.listed = true
    if entry.role == 'authority' and not location.authority then location.authority = entry.source end
  end
  return location
end

local function read_source(body)
  local policy = cjson.decode(body)
  return { measure = policy.measure or 'on_hand', version = policy.version or '' }
end

local function load_policies(prefix, meta)
  local cached = policy_cache[prefix]
  if cached and cached.birth == meta.birth and cached.version == meta.policy_version then return cached end
  local policies = { birth = meta.birth, version = meta.policy_version, locations = {}, sources = {}, authorities = {},
    orders = {}, order_count = 0 }
  local stored = call('HGETALL', prefix .. 'policy')
  for i = 1, #stored, 2 do
    local kind, id = string.match(stored[i], '^(%l+)/(.*)$')
    if kind == 'location' then
      policies.locations[id] = read_location(unpack_one(stored[i + 1])[2])
    elseif kind == 'source' then
      policies.sources[id] = read_source(unpack_one(stored[i + 1])[2])
    end
  end
  local taken = call('HGETALL', prefix .. 'authority')
  for i = 1, #taken, 2 do policies.authorities[taken[i]] = taken[i + 1] end
  rank_locations(policies.locations)
  policy_cache[prefix] = policies
  return policies
end

-- The source whose number counts at a location: the listed authority, else the first that sent a level.
local function authority_of(b, location)
  local policy = b.policies.locations[location]
  if policy and policy.listed then return policy.authority or '' end
  return b.policies.authorities[location] or ''
end

local function take_authority(b, location, source, cause)
  b.policies.authorities[location] = source
  b.policies.version = nil -- read again by the next batch
  b.dirty_authorities[location] = source
  log(b, pack({ E.AUTHORITY, next_seq(b), b.now, '', cause, location, source }))
end

-- Orders of location sets kept with the policies: skus share few sets.
local ORDERS_MAX = 1000

local function rank_set(policies, names)
  local found = {}
  for _, id in ipairs(names) do
    local policy = policies.locations[id]
    if policy and policy.active then found[#found + 1] = id end
  end
  table.sort(found, function(x, y) return policies.locations[x].rank < policies.locations[y].rank end)
  return found
end

-- Active locations that have a position of the sku, best rank first.
local function ranked(b, sku)
  local found = b.ranked[sku]
  if found then return found end
  local s, policies = find_sku(b, sku), b.policies
  if s then
    local set = table.concat(s[S.LOCATIONS], '\0')
    found = policies.orders[set]
    if not found then
      found = rank_set(policies, s[S.LOCATIONS])
      if policies.order_count >= ORDERS_MAX then policies.orders, policies.order_count = {}, 0 end
      policies.orders[set], policies.order_count = found, policies.order_count + 1
    end
  end
  b.ranked[sku] = found or {}
  return b.ranked[sku]
end
