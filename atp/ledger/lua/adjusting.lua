-- Adjust: domain/rules/adjusting.py gives the reasons.
-- {tag, sku, location, quantity, event, body, reason, client, cause} -> APPLIED, REPLAYED, KEY_REUSED, UNKNOWN_LOCATION
-- or NO_AUTHORITY. Hash `adjusted` has the calls of the last day, list `adjustments` their order.

local function after(version)
  if version[3] == 4294967295 then return { version[1], version[2] + 1, 0 } end
  return { version[1], version[2], version[3] + 1 }
end

local function forget_adjusted(b)
  local last = b.unadjusted + ADJUSTED_CUT - 1
  for _, event in ipairs(call('LRANGE', b.prefix .. 'adjustments', b.unadjusted, last)) do
    if lookup(b, b.adjusted, 'adjusted', event)[3] + TOMBSTONE_MS > b.now then return end
    b.adjusted[event], b.dirty_adjusted[event], b.unadjusted = false, true, b.unadjusted + 1
  end
end

local function adjust(b, c)
  forget_adjusted(b)
  local event = string.format('%.0f', c[5])
  local done = lookup(b, b.adjusted, 'adjusted', event)
  if done then
    if done[1] ~= c[6] then return O.KEY_REUSED, done[2] end
    return O.REPLAYED, done[2], nil, nil, nil, true
  end
  if not b.policies.locations[c[3]] then return O.UNKNOWN_LOCATION, b.seq, nil, nil, c[3] end
  local authority = authority_of(b, c[3])
  local source = authority ~= '' and lookup(b, b.sources, 'source', authority)
  if not source then return O.NO_AUTHORITY, b.seq, nil, nil, c[3] end
  local n = inclusion.number_record(position_record(b, c[2], c[3]), authority)
  local before = shortage.unpromised(b, c[2], c[3])
  local version = after(version_less(n[N_VERSION], n[N_FLOOR]) and n[N_FLOOR] or n[N_VERSION])
  stock.change(b, { 0, c[2], c[3], authority, c[4], '', '', '', 0, 0, c[5] }, source, version)
  local seq = next_seq(b)
  b.adjusted[event], b.dirty_adjusted[event] = { c[6], seq, b.now }, true
  b.adjustments[#b.adjustments + 1] = event
  touch(b, c[2], seq)
  log(b, pack({ E.ADJUSTED, seq, b.now, c[8], c[9], c[2], c[3], authority, c[4], n[N_NUMBER], version, c[5], c[6], c[7],
    { balance(b, c[2], c[3]) } }))
  shortage.report(b, c[2], c[3], c[9], before)
  return O.APPLIED, seq
end

function stock.write_adjusted(b)
  if not next(b.dirty_adjusted) then return end
  if b.unadjusted > 0 then call('LPOP', b.prefix .. 'adjustments', b.unadjusted) end
  bulk('RPUSH', b.prefix .. 'adjustments', b.adjustments)
  write_fields(b.prefix .. 'adjusted', b.dirty_adjusted, function(event)
    return b.adjusted[event] and pack(b.adjusted[event])
  end)
end

handlers[C.ADJUST] = adjust
