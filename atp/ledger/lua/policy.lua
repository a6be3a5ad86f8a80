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
  touch(b, c[3], seq)
  local locations, balances = {}, {}
  for i, location in ipairs(s[S.LOCATIONS]) do locations[i] = location end
  table.sort(locations, bytes_less)
  for i, location in ipairs(locations) do balances[i] = balance(b, c[3], location) end
  return balances
end

local function put_policy(b, c)
  local field = c[2] .. '/' .. c[3]
  local current = 0
  if c[2] == 'item' then
    local s = find_sku(b, c[3])
    current = s and s[S.VERSION] or 0
  else
    local known = b.dirty_policies[field] or call('HGET', b.prefix .. 'policy', field)
    current = known and unpack_one(known)[1] or 0
  end
  if c[5] ~= -1 and c[5] ~= current then return O.VERSION_MISMATCH, b.seq, nil, nil, tostring(current) end
  local seq = next_seq(b)
  local version = c[6] > 0 and c[6] or seq
  local balances = {}
  if c[2] == 'item' then
    balances = put_item(b, c, seq, version)
  else
    b.dirty_policies[field] = pack({ version, c[4] })
    b.policy_version = seq
    b.policies.version = nil -- read again by the next batch
    if c[2] == 'location' then
      b.policies.locations[c[3]] = read_location(c[4])
      rank_locations(b.policies.locations)
      b.ranked, b.policies.orders, b.policies.order_count = {}, {}, 0
    elseif c[2] == 'source' then
      b.policies.sources[c[3]] = read_source(c[4])
    end
  end
  log(b, pack({ E.POLICY, seq, b.now, c[7], c[8], c[2], c[3], c[4], version, balances }))
  return O.APPLIED, seq, nil, nil, string.format('%.0f', version)
end
