-- Whose number counts at a location, and the step in which that changes: domain/rules/authority.py gives the reasons.

local authority = {}

-- {authority, fallback} as they stand.
function authority.of(b, location)
  local policy = b.policies.locations[location]
  return { authority_of(b, location), policy and policy.fallback or '' }
end

-- After a location was put; `change` is {key, body} of the call that moved it, or nil.
function authority.settle(b, location, before, client, cause, change)
  local now, record = authority.of(b, location), b.policies.records[location]
  local moved = before[1] ~= '' and now[1] ~= before[1]
  if record and record[Y.SINCE] > 0 and (now[1] ~= before[1] or now[2] ~= before[2]) then
    record = sources.location_record(b, location)
    record[Y.FALLBACK], record[Y.SINCE] = '', 0
  end
  if not moved and not change then return end
  local seq = next_seq(b)
  log(b, pack({ E.AUTHORITYMOVED, seq, b.now, client, cause, location, before[1], now[1], change or { 0, 0 } }))
  record = sources.location_record(b, location)
  if moved then record[Y.RECHECK], record[Y.BEFORE] = seq, before[1] end
  if change then
    record[Y.MOVES][#record[Y.MOVES] + 1] = change
    if #record[Y.MOVES] > MOVES_MAX then table.remove(record[Y.MOVES], 1) end
  end
end

local function move(b, c)
  local location, id, change, version = c[2], c[3], c[4], c[7]
  local stored = b.dirty_policies['location/' .. location] or call('HGET', b.prefix .. 'policy', 'location/' .. location)
  local current, record = stored and unpack_one(stored)[1] or 0, b.policies.records[location]
  for _, known in ipairs(record and record[Y.MOVES] or {}) do
    if known[1] == change[1] then
      if known[2] ~= change[2] then return O.KEY_REUSED, b.seq end
      return O.REPLAYED, b.seq, nil, nil, string.format('%.0f', current), true
    end
  end
  if version == 0 then
    if not lookup(b, b.sources, 'source', id) and not b.policies.sources[id] then
      return O.NOT_FOUND, b.seq, nil, nil, id
    end
    if current == 0 then return O.UNKNOWN_LOCATION, b.seq, nil, nil, location end
    if c[6] ~= -1 and c[6] ~= current then
      return O.VERSION_MISMATCH, b.seq, nil, nil, string.format('%.0f', current)
    end
    if b.policies.locations[location].authority == id then
      return O.REPLAYED, b.seq, nil, nil, string.format('%.0f', current)
    end
  end
  local before, seq = authority.of(b, location), next_seq(b)
  if version == 0 then version = seq end
  put_body(b, 'location', location, c[5], seq, version)
  b.next_silence = b.now
  log(b, pack({ E.POLICY, seq, b.now, c[8], c[9], 'location', location, c[5], version, {} }))
  authority.settle(b, location, before, c[8], c[9], { change[1], change[2] })
  return O.APPLIED, seq, nil, nil, string.format('%.0f', version)
end

local function recheck(b, c)
  local record = b.policies.records[c[2]]
  if not record or record[Y.RECHECK] ~= c[3] then return O.NOT_ACTIVE, b.seq, nil, nil, 'closed' end
  local balances = {}
  for _, sku in ipairs(c[4]) do
    local p = find_position(b, sku, c[2])
    local now = p and free_at(b, sku, c[2], position_key(sku, c[2]))
    if p and now ~= free_by(b, find_sku(b, sku), p, c[2], record[Y.BEFORE]) then
      balances[#balances + 1] = balance(b, sku, c[2])
    end
  end
  if balances[1] or c[5] then
    local seq = next_seq(b)
    for _, t in ipairs(balances) do touch(b, t[1], seq) end
    log(b, pack({ E.RECOUNTED, seq, b.now, '', c[6], c[2], balances, c[5] }))
  end
  for _, sku in ipairs(c[4]) do
    if find_position(b, sku, c[2]) then shortage.recheck(b, sku, c[2], c[6]) end
  end
  if c[5] then sources.location_record(b, c[2])[Y.RECHECK] = 0 end
  return O.APPLIED, b.seq
end

handlers[C.MOVE], handlers[C.RECHECK] = move, recheck
