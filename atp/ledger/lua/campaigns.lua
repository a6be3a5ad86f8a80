-- Campaigns: domain/rules/campaigns.py gives the reasons. Standing is [format, phase, since, [sku, …]].

local function drop_seller(b, sku, name, seq)
  local s = sku_record(b, sku)
  for i, seller in ipairs(s[S.SELLERS]) do
    if seller[W.NAME] == name then
      table.remove(s[S.SELLERS], i)
      break
    end
  end
  s[S.SUMS], b.floors[sku] = {}, nil
  touch(b, sku, seq)
end

-- Give a seller its share, in place of the one it had.
local function put_seller(b, sku, share, seq)
  local s = sku_record(b, sku)
  local known, sellers = find_seller(s, share[W.NAME]), s[S.SELLERS]
  if known then
    for i = 1, 6 do known[i] = share[i] end
  else
    sellers[#sellers + 1] = share
  end
  s[S.SUMS], b.floors[sku] = {}, nil
  touch(b, sku, seq)
end

local function put_campaign(b, c, seq, version)
  local body, name, standing = b.policies.campaigns[c[3]], SEPARATOR .. c[3], b.policies.standing[c[3]]
  if standing and standing[2] == 2 then standing = nil end
  local since, kept = standing and standing[3] or seq, {}
  for _, sku in ipairs(c[9]) do kept[sku] = true end
  for _, sku in ipairs(standing and standing[4] or {}) do
    if not kept[sku] then drop_seller(b, sku, name, seq) end
  end
  for _, sku in ipairs(c[9]) do
    local known, quantity = find_seller(sku_record(b, sku), name), body.skus[sku].quantity
    local used, counted = known and known[W.USED] or 0, known and known[W.SINCE] or seq
    put_seller(b, sku, { name, quantity, quantity, used, counted, version }, seq)
  end
  local phase = standing and standing[2] == 1 and body.opens <= b.now and 1 or 0
  b.policies.standing[c[3]] = { FORMAT, phase, since, c[9] }
  b.dirty_campaigns[c[3]] = b.policies.standing[c[3]]
end

-- The next edge of any campaign's window: time, phase, id; nil if none is left.
local function next_edge(b)
  local at, phase, found
  for id, standing in pairs(b.policies.standing) do
    local campaign = b.policies.campaigns[id]
    if campaign and standing[2] < 2 then
      local time = standing[2] == 0 and campaign.opens or campaign.closes
      if not at or time < at or (time == at and (standing[2] < phase
          or (standing[2] == phase and bytes_less(id, found)))) then
        at, phase, found = time, standing[2], id
      end
    end
  end
  return at, found
end

-- Edges that lie behind; `client` and `cause` are of a call that put them there.
local function pass_edges(b, client, cause)
  local at, id = next_edge(b)
  while at and at <= b.now do
    local standing, seq = b.policies.standing[id], next_seq(b)
    b.policies.version = nil -- read again by the next batch
    standing[2] = standing[2] + 1
    b.dirty_campaigns[id] = standing
    for _, sku in ipairs(standing[4]) do
      if standing[2] == 1 then touch(b, sku, seq) else drop_seller(b, sku, SEPARATOR .. id, seq) end
    end
    if standing[2] == 2 then b.closed[id], b.buyers[id] = true, nil end
    log(b, pack({ standing[2] == 1 and E.CAMPAIGNOPENED or E.CAMPAIGNCLOSED, seq, b.now, client or '', cause or '', id,
      standing[4] }))
    at, id = next_edge(b)
  end
end
