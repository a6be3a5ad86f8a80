-- Limits: what a channel and a campaign allow, and the counters behind; domain/rules/limits.py gives the reasons.

-- Why this channel, or this campaign, may not sell this basket: an outcome and what it is about.
local function refuse_seller(b, c)
  local policies, channel, campaign = b.policies, c[5], nil
  if c[8] ~= '' then
    campaign = policies.campaigns[c[8]]
    if not campaign then return O.UNKNOWN_CAMPAIGN, c[8] end
  end
  local sells = channel_of(policies, channel)
  if c[6] == '' and (sells.held_max or (campaign and campaign.per_customer)) then return O.CUSTOMER_REQUIRED end
  if campaign and #campaign.names > 0 and not campaign.channels[channel] then
    return O.CHANNEL_NOT_ALLOWED, 'campaign'
  end
  if not sells.everywhere then
    for index, line in ipairs(c[11]) do
      if line[4] ~= '' and not sells_at(policies, channel, line[4], '') then
        return O.CHANNEL_NOT_ALLOWED, tostring(index - 1)
      end
      if line[5] ~= '' then
        local _, serves = find_group(policies, channel, line[5])
        if not serves then return O.CHANNEL_NOT_ALLOWED, tostring(index - 1) end
      end
    end
  end
  if campaign and not (campaign.opens <= b.now and b.now < campaign.closes) then return O.CAMPAIGN_CLOSED end
  if campaign and campaign.waiting_room and c[17] == '' then return O.TICKET_REQUIRED end
end

local function hold_ttl(b, c)
  if c[10] > 0 then return c[10] end
  if c[8] ~= '' then return b.policies.campaigns[c[8]].ttl_ms end
  return math.min(DEFAULT_TTL_MS, channel_of(b.policies, c[5]).max_hold_ms)
end

-- Counters are read when they are first needed; gather has read most of them in bulk.
local function count_of(b, cache, key, field)
  local count = cache[field]
  if count == nil then
    count = tonumber(call('HGET', b.prefix .. key, field) or 0)
    cache[field] = count
  end
  return count or 0
end

local function buyers_of(b, campaign)
  local buyers = b.buyers[campaign]
  if not buyers then
    local none = b.closed[campaign] and setmetatable({}, { __index = function() return 0 end })
    buyers = { counts = none or {}, dirty = {} }
    b.buyers[campaign] = buyers
  end
  return buyers
end

-- Whether the reservation was made in the campaign while it has been counting as it does now.
local function counts_to_campaign(b, r, id)
  local standing = id ~= '' and b.policies.standing[id]
  return standing and r[R_CAMPAIGN] == id and standing[2] < 2 and r[R_FIRST] > standing[3]
end

local function held_of(b, r, sku)
  local units = 0
  for _, line in ipairs(r[R_LINES]) do
    if (not sku or line[L_SKU] == sku) and not b.foreign[line[L_SKU]] then
      for _, a in ipairs(line[L_ALLOCATIONS]) do units = units + a[A_HELD] end
    end
  end
  return units
end

local function too_many(b, limit)
  if b.due_left then return O.AGAIN end
  return O.LIMIT_EXCEEDED, limit
end

-- The longest hold.
local function refuse_ttl(b, c, ttl, old)
  local channel, campaign = channel_of(b.policies, c[5]), c[8] ~= '' and b.policies.campaigns[c[8]]
  local since = old and old[R_SINCE] or b.now
  if ttl > (campaign and campaign.ttl_ms or channel.max_hold_ms) or b.now + ttl > since + channel.max_hold_ms then
    return O.LIMIT_EXCEEDED, 'ttl'
  end
end

-- Units held at once by the customer, units of a campaign per customer and sku; those of `old` and `other` are given back.
local function refuse_units(b, c, old, other)
  local channel, campaign = channel_of(b.policies, c[5]), c[8] ~= '' and b.policies.campaigns[c[8]]
  local per_customer = campaign and campaign.per_customer
  if campaign and campaign.waiting_room and not (old and counts_to_campaign(b, old, c[8]))
      and not (other and counts_to_campaign(b, other, c[8]))
      and count_of(b, buyers_of(b, c[8]).counts, 'buyers:' .. c[8], position_key('', c[17])) > 0 then
    return O.TICKET_REQUIRED, 'used'
  end
  if not channel.held_max and not per_customer then return end
  local wanted, total = {}, 0
  for _, line in ipairs(c[11]) do
    wanted[line[2]] = (wanted[line[2]] or 0) + line[3]
    total = total + line[3]
  end
  if channel.held_max then
    local held = count_of(b, b.holding, 'holding', position_key(c[5], c[6]))
    if old and old[R_CHANNEL] == c[5] then held = held - held_of(b, old) end
    if other and other[R_CHANNEL] == c[5] then held = held - held_of(b, other) end
    if held + total > channel.held_max then return too_many(b, 'held_units_per_customer') end
  end
  if per_customer then
    for sku, quantity in pairs(wanted) do
      local bought = count_of(b, buyers_of(b, c[8]).counts, 'buyers:' .. c[8], position_key(sku, c[6]))
      if old and counts_to_campaign(b, old, c[8]) then bought = bought - held_of(b, old, sku) end
      if other and counts_to_campaign(b, other, c[8]) then bought = bought - held_of(b, other, sku) end
      if bought + quantity > per_customer then return too_many(b, 'per_customer') end
    end
  end
end

-- The same for units of a campaign that expired and are to be taken again: others were bought meanwhile.
local function refuse_expired(b, r, per_customer)
  if not per_customer or r[R_CUSTOMER] == '' then return end
  local wanted = {}
  for _, line in ipairs(r[R_LINES]) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      wanted[line[L_SKU]] = (wanted[line[L_SKU]] or 0) + a[A_EXPIRED]
    end
  end
  local counts, key = buyers_of(b, r[R_CAMPAIGN]).counts, 'buyers:' .. r[R_CAMPAIGN]
  for sku, units in pairs(wanted) do
    local bought = units > 0 and count_of(b, counts, key, position_key(sku, r[R_CUSTOMER])) or 0
    if bought + units > per_customer and units > 0 then return too_many(b, 'per_customer') end
  end
end

-- A ticket lets one reservation in, and whatever replaces that.
local function use_ticket(b, campaign, ticket)
  local standing = ticket ~= '' and b.policies.standing[campaign]
  if not standing or standing[2] == 2 then return end
  local buyers, field = buyers_of(b, campaign), position_key('', ticket)
  buyers.counts[field], buyers.dirty[field] = 1, 1
end

-- `units` more of the reservation are held now, or fewer; another partition counts its own skus.
local function count_held(b, r, sku, units)
  if r[R_CUSTOMER] == '' or units == 0 or b.foreign[sku] then return end
  local field = position_key(r[R_CHANNEL], r[R_CUSTOMER])
  local count = count_of(b, b.holding, 'holding', field) + units
  b.holding[field], b.dirty_holding[field] = count, count
end

-- `units` more of the sku are sold through the reservation's seller, or given back to it.
local function count_sold(b, r, sku, units)
  if b.foreign[sku] then return end
  local s = sku_record(b, sku)
  if s[S.SELLERS][1] then
    local seller = find_seller(s, seller_name(r[R_CHANNEL], r[R_CAMPAIGN]))
    if seller and r[R_FIRST] > seller[W.SINCE] then
      seller[W.USED] = seller[W.USED] + units
      b.dirty_skus[sku] = true
    end
  end
  if r[R_CAMPAIGN] ~= '' and r[R_CUSTOMER] ~= '' and units ~= 0 and counts_to_campaign(b, r, r[R_CAMPAIGN]) then
    local buyers, field = buyers_of(b, r[R_CAMPAIGN]), position_key(sku, r[R_CUSTOMER])
    local count = count_of(b, buyers.counts, 'buyers:' .. r[R_CAMPAIGN], field) + units
    buyers.counts[field], buyers.dirty[field] = count, count
  end
end
