-- Floors: what the protections of other sellers leave for one seller of a sku; domain/rules/floors.py gives the reasons.
--
-- A seller's bit is its place in the order of rank. Locations differ only by which sellers may sell from them, so F, the
-- sum of free units, is kept per mask of sellers in the sku's record: [network, mask, F, mask, F, …], where network is
-- the seq of the last change of anything but stock that it depends on. A reserve reads these sums and the positions it
-- draws on, not all positions.

local function is_campaign(seller) return string.byte(seller, 1) == 31 end

local function seller_name(channel, campaign)
  if campaign ~= '' then return SEPARATOR .. campaign end
  return channel
end

local function find_seller(s, name)
  for _, seller in ipairs(s[S.SELLERS]) do
    if seller[W.NAME] == name then return seller end
  end
end

-- Campaigns come before all channels.
local function rank_of(b, seller)
  return is_campaign(seller[W.NAME]) and -1 or channel_of(b.policies, seller[W.NAME]).priority
end

local function ranked_sellers(b, s)
  local found = {}
  for _, seller in ipairs(s[S.SELLERS]) do
    if seller[W.PROTECTION] > 0 then found[#found + 1] = seller end
  end
  table.sort(found, function(x, y)
    local i, j = rank_of(b, x), rank_of(b, y)
    if i ~= j then return i < j end
    return bytes_less(x[W.NAME], y[W.NAME])
  end)
  return found
end

local function seller_sells_at(policies, name, location)
  if not is_campaign(name) then return sells_at(policies, name, location, '') end
  local campaign = policies.campaigns[string.sub(name, 2)]
  if not campaign or #campaign.names == 0 then return true end
  for _, channel in ipairs(campaign.names) do
    if sells_at(policies, channel, location, '') then return true end
  end
  return false
end

local function mask_at(b, f, location)
  local mask = f.masks[location]
  if not mask then
    mask = 0
    for i, seller in ipairs(f.sellers) do
      if seller_sells_at(b.policies, seller[W.NAME], location) then mask = mask + 2 ^ (i - 1) end
    end
    f.masks[location] = mask
  end
  return mask
end

local function is_active(b, location)
  local policy = b.policies.locations[location]
  return policy and policy.active
end

-- Units of a position that may be promised now. Days that begin change them without a command, so sums of a sku that
-- has supply are added up by each batch anew. `f` are the sku's floors, if it has any.
local function promisable(b, f, sku, location, place)
  local free, p = free_at(b, sku, location, place), lookup(b, b.positions, 'pos', place)
  if p and p[P_SUPPLY][1] then
    if f then f.dated = true end
    free = lowest(free, p[P_SUPPLY], '', b.now)
  end
  return math.max(0, free)
end

-- The sku's locations, their positions read.
local function read_positions(b, s, sku)
  local unread, names = {}, locations_of(b, s, sku)
  for _, location in ipairs(names) do
    local place = position_key(sku, location)
    if b.positions[place] == nil then unread[#unread + 1] = place end
  end
  fetch(b.prefix .. 'pos', unread, b.positions, unpack_one)
  return names
end

-- Add up all positions of the sku.
local function sum_positions(b, f, s, sku)
  for _, location in ipairs(read_positions(b, s, sku)) do
    if is_active(b, location) then
      local mask = mask_at(b, f, location)
      f.sums[mask] = (f.sums[mask] or 0) + promisable(b, f, sku, location, position_key(sku, location))
    end
  end
end

-- The sku's floors and sums, or false if no seller has a floor. `stored`: only if they need no reading of positions.
local function floors_of(b, sku, stored)
  local f = b.floors[sku]
  if f ~= nil then return f end
  local s = find_sku(b, sku)
  local sellers = s and s[S.SELLERS][1] and ranked_sellers(b, s) or {}
  if #sellers == 0 then
    b.floors[sku] = false
    return false
  end
  f = { sellers = sellers, masks = {}, sums = {} }
  local sums = s[S.SUMS]
  if sums[1] == b.network then
    for i = 2, #sums, 2 do f.sums[sums[i]] = sums[i + 1] end
  elseif stored then
    return nil
  else
    sum_positions(b, f, s, sku)
  end
  b.floors[sku] = f
  return f
end

-- A position of a sku with sellers, or with places known to be empty, is about to change: remember what it had.
function watch(b, s, sku, location, place)
  if b.watched[place] then return end
  local f = s[S.SELLERS][1] and floors_of(b, sku, true)
  local active = is_active(b, location)
  local before = active and math.max(0, free_at(b, sku, location, place)) or 0
  local promised = f and active and promisable(b, f, sku, location, place) or 0
  b.watched[place] = { f, s, sku, location, before, promised }
  b.watching = true
end

-- A place has units again: what is known to be empty ends before it.
local function find_again(b, s, sku, location)
  local order, known = ranked(b, sku, '', ''), empty_places(b, sku)
  for i = 1, known do
    if order[i] == location then
      s[S.EMPTY], b.dirty_skus[sku], b.empty[sku] = {}, true, i - 1
      return
    end
  end
end

-- Bring the sums, and what is known of empty places, up to date after a command.
local function settle_sums(b)
  for place, watched in pairs(b.watched) do
    local f, s, sku, location = watched[1], watched[2], watched[3], watched[4]
    local gained = is_active(b, location) and math.max(0, free_at(b, sku, location, place)) - watched[5] or 0
    if f and b.floors[sku] == f then
      local mask = mask_at(b, f, location)
      f.sums[mask] = (f.sums[mask] or 0)
        + (is_active(b, location) and promisable(b, f, sku, location, place) or 0) - watched[6]
      f.changed = true
    end
    if gained > 0 then find_again(b, s, sku, location) end
  end
  b.watched, b.watching = {}, false
end

-- Write the sums and the empty places that are known into their records.
local function keep_sums(b)
  for sku, f in pairs(b.floors) do
    if f and (f.changed or (b.dirty_skus[sku] and b.skus[sku][S.SUMS][1] ~= b.network)) then
      local sums = f.dated and {} or { b.network }
      for mask, units in pairs(f.dated and {} or f.sums) do
        sums[#sums + 1] = mask
        sums[#sums + 1] = units
      end
      b.skus[sku][S.SUMS] = sums
      b.dirty_skus[sku] = true
    end
  end
  for sku, known in pairs(b.empty) do
    local s = b.skus[sku]
    if b.dirty_skus[sku] and s and known >= EMPTY_MIN and (s[S.EMPTY][1] ~= b.network or s[S.EMPTY][2] ~= known) then
      s[S.EMPTY] = { b.network, known }
    end
  end
end

local function overlap(a, c) return bit.band(a, c) ~= 0 end

-- Stock at all locations of a set of sellers.
local function stock_of(sums, sellers)
  local units = 0
  for mask, free in pairs(sums) do
    if overlap(mask, sellers) then units = units + free end
  end
  return units
end

local function total_of(granted, sellers)
  local units = 0
  for i, floor in ipairs(granted) do
    if overlap(sellers, 2 ^ (i - 1)) then units = units + floor end
  end
  return units
end

-- Floors granted by rank, each as far as the stock reaches beside the better ones.
local function grant_floors(sums, wants)
  local granted = {}
  for i, want in ipairs(wants) do
    local bit_i, floor = 2 ^ (i - 1), want
    for better = 0, bit_i - 1 do
      floor = math.min(floor, stock_of(sums, better + bit_i) - total_of(granted, better))
    end
    granted[i] = math.max(0, floor)
  end
  return granted
end

-- Slack of every set of other sellers with a floor: {set, units that may be drawn at its locations}, or false.
local function claims_on(sums, sellers, wants, me)
  local granted, claims, idle = grant_floors(sums, wants), {}, 0
  for i, seller in ipairs(sellers) do
    if granted[i] == 0 or seller[W.NAME] == me then idle = idle + 2 ^ (i - 1) end
  end
  for others = 1, 2 ^ #sellers - 1 do
    if not overlap(others, idle) then
      claims[#claims + 1] = { others, stock_of(sums, others) - total_of(granted, others) }
    end
  end
  return #claims > 0 and claims
end

-- Floors of a sku's sellers while nobody draws, in the order of rank.
local function granted_now(f)
  local wants = {}
  for i, seller in ipairs(f.sellers) do wants[i] = math.max(0, seller[W.PROTECTION] - seller[W.USED]) end
  return grant_floors(f.sums, wants)
end
