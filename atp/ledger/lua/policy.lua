-- PutPolicy: domain/rules/policy.py gives the reasons.

local function put_item(b, c, seq, version)
  local item = cjson.decode(c[4])
  local s = sku_record(b, c[3])
  s[S.VERSION], s[S.POLICY], s[S.SAFETY] = version, c[4], item.safety_stock or 0
  local at = {}
  for location, units in pairs(item.safety_stock_by_location or {}) do
    at[#at + 1] = location
    at[#at + 1] = units
  end
  s[S.SAFETY_AT] = at
  s[S.SUMS], b.floors[c[3]], s[S.EMPTY], b.empty[c[3]] = {}, nil, {}, nil
  touch(b, c[3], seq)
  local locations, balances = {}, {}
  for i, location in ipairs(locations_of(b, s, c[3])) do locations[i] = location end
  table.sort(locations, bytes_less)
  for i, location in ipairs(locations) do balances[i] = balance(b, c[3], location) end
  return balances
end

-- {sku, channel} of the id of an item-channel.
local function split_id(id)
  local at = string.find(id, SEPARATOR, 1, true)
  return string.sub(id, 1, at - 1), string.sub(id, at + 1)
end

-- A channel's floor and ceiling; what it sold before does not count.
local function put_share(b, c, seq, version)
  local body, sku, channel = cjson.decode(c[4]), split_id(c[3])
  put_seller(b, sku, { channel, body.protection or 0, given(body.cap) or -1, 0, seq, version }, seq)
end

local function current_version(b, c)
  if c[2] == 'item' then
    local s = find_sku(b, c[3])
    return s and s[S.VERSION] or 0
  end
  if c[2] == 'item-channel' then
    local sku, channel = split_id(c[3])
    local s = find_sku(b, sku)
    local seller = s and find_seller(s, channel)
    return seller and seller[W.VERSION] or 0
  end
  local field = c[2] .. '/' .. c[3]
  local known = b.dirty_policies[field] or call('HGET', b.prefix .. 'policy', field)
  return known and unpack_one(known)[1] or 0
end

-- Floors are exact over every set of sellers, so a sku has a bounded number of them.
local function too_many_floors(b, c)
  local skus, name = {}, nil
  if c[2] == 'item-channel' and (cjson.decode(c[4]).protection or 0) > 0 then
    skus[1], name = split_id(c[3])
  elseif c[2] == 'campaign' and cjson.decode(c[4]).closes > b.now then
    skus, name = c[9], SEPARATOR .. c[3]
  end
  for _, sku in ipairs(skus) do
    local s, others = find_sku(b, sku), 0
    for _, seller in ipairs(s and s[S.SELLERS] or {}) do
      if seller[W.NAME] ~= name and seller[W.PROTECTION] > 0 then others = others + 1 end
    end
    if others >= PROTECTED_MAX then return true end
  end
  return false
end

local function put_policy(b, c)
  if calls.answered(b, c[10]) then return calls.answered(b, c[10]) end
  local kind, id = c[2], c[3]
  local current = current_version(b, c)
  if c[6] > 0 and c[6] <= current then
    return O.REPLAYED, current, nil, nil, string.format('%.0f', current), true
  end
  if c[5] ~= -1 and c[5] ~= current then return O.VERSION_MISMATCH, b.seq, nil, nil, tostring(current) end
  if too_many_floors(b, c) then return O.LIMIT_EXCEEDED, b.seq, nil, nil, 'protections' end
  local before = kind == 'location' and authority.of(b, id)
  local seq = next_seq(b)
  local version, balances = c[6] > 0 and c[6] or seq, {}
  if kind == 'item' then
    balances = put_item(b, c, seq, version)
  elseif kind == 'item-channel' then
    put_share(b, c, seq, version)
  else
    put_body(b, kind, id, c[4], seq, version)
    if kind == 'campaign' then put_campaign(b, c, seq, version) end
  end
  log(b, pack({ E.POLICY, seq, b.now, c[7], c[8], kind, id, c[4], version, balances, kind == 'campaign' and c[9] or nil }))
  if kind == 'campaign' then pass_edges(b, c[7], c[8]) end
  if kind == 'location' or kind == 'source' then b.next_silence = b.now end
  if before then authority.settle(b, id, before, c[7], c[8]) end
  return calls.answer(b, c[10], seq, string.format('%.0f', version))
end

handlers[C.POLICY] = put_policy
