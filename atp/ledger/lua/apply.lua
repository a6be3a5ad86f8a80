-- apply: the batch entry point. Header: {batch id, process, session, epoch, seq known, sender's now, now, settle max};
-- now 0 takes the server's TIME, any other value is the clock of a test or a replay.

local META = { 'law', 'epoch', 'seq', 'last_now', 'policy_version', 'refused_gen', 'refused_since', 'trimmed', 'birth',
  'network', 'apart', 'apart_at', 'moved', 'shortages', 'exceptions', 'baskets',
  'overdue_at', 'awaited', 'next_silence', 'silence_from', 'opened' }

local function read_meta(prefix)
  local values = call('HMGET', prefix .. 'meta', unpack(META))
  if not values[1] then return nil end
  local meta = {}
  for i, name in ipairs(META) do meta[name] = values[i] end
  return meta
end

-- Why the whole batch is refused, or nil. Nothing of a refused batch runs.
local function refuse_batch(prefix, meta, header)
  if not meta then return 'EMPTY no ledger here' end
  if tonumber(meta.epoch) ~= header[4] then return 'EPOCH ' .. meta.epoch end
  if tonumber(meta.seq) < header[5] then return 'BEHIND ' .. meta.seq end
  local session = call('HGET', prefix .. 'sessions', header[2])
  if session and tonumber(session) > header[3] then return 'FENCED ' .. session end
end

handlers[C.OPEN], handlers[C.TAKE], handlers[C.ABORT] = legs.open, legs.take, legs.abort
handlers[C.DROP], handlers[C.FOLLOWHOME], handlers[C.FOLLOWED] = legs.drop, legs.follow_home, legs.followed

-- What a full memory still takes: the rest is not decided.
local relieving = {
  [C.LEVEL] = 'position', [C.DELTA] = 'position', [C.STATUS] = 'position', [C.RECEIVED] = 'position',
  [C.BACK] = 'position', [C.TELL] = true, [C.INCLUDE] = true, [C.CURSOR] = true,
  [C.RECALL] = true, [C.CONFIRM] = true, [C.RELEASE] = true, [C.EXTEND] = true, [C.FULFIL] = true, [C.ACKNOWLEDGE] = true,
  [C.TRANSFER] = true, [C.AFFECT] = true, [C.RESOLVE] = true, [C.ZERO] = 'position', [C.PART] = 'taken',
  [C.SNAPSHOTDECIDE] = true, [C.HEARTBEAT] = true, [C.TOUCH] = true,
  [C.ABORT] = true, [C.DROP] = true, [C.FOLLOWHOME] = true, [C.FOLLOWED] = true,
}

local function has_room(b, c)
  if relieving[c[1]] == 'position' then return find_position(b, c[2], c[3]) end
  if relieving[c[1]] == 'taken' then return c[15] end
  return relieving[c[1]]
end

-- Fetch every record the batch is known to touch with a few bulk reads; what sourcing needs beyond is read in place.
local function gather(b, commands, due)
  local wanted = { recent = {}, orders = {}, ids = {}, skus = {}, positions = {}, sources = {}, streams = {}, refused = {}, holding = {} }
  local known = { recent = {}, orders = {}, ids = {}, skus = {}, positions = {}, sources = {}, streams = {}, refused = {}, holding = {} }
  local function want(kind, field)
    if not known[kind][field] then
      known[kind][field] = true
      wanted[kind][#wanted[kind] + 1] = field
    end
  end
  for _, id in ipairs(due) do want('ids', identity_of(id)) end
  for _, c in ipairs(commands) do
    local tag = c[1]
    if tag == C.LEVEL or tag == C.DELTA or tag == C.STATUS or tag == C.INCOMING or tag == C.RECEIVED
        or tag == C.BACK then
      want('skus', c[2])
      want('positions', position_key(c[2], c[3]))
      want('sources', c[4])
      want('streams', c[8])
      if tag ~= C.STATUS and tag ~= C.INCOMING then want('recent', stock.recent_key(b, c)) end
      if tag == C.LEVEL then
        for _, ref in ipairs(c[13]) do want('orders', ref) end
      end
    elseif tag == C.CURSOR then
      want('streams', c[2])
    elseif tag == C.PART then
      want('sources', c[2])
      want('streams', c[6])
    elseif tag == C.ZERO then
      want('skus', c[2])
      want('positions', position_key(c[2], c[3]))
      want('sources', c[4])
    elseif tag == C.TELL then
      stock.gather_order(c, want)
    elseif tag == C.INCLUDE then
      want('sources', c[4])
      want('streams', c[8])
      for _, id in ipairs(c[13]) do want('ids', identity_of(id)) end
    elseif tag == C.RESERVE then
      if c[7] ~= '' then want('orders', c[7]) end
      want('ids', identity_of(c[2]))
      want('refused', identity_of(c[2]))
      if c[16] ~= '' then want('ids', identity_of(c[16])) end
      if c[6] ~= '' then want('holding', position_key(c[5], c[6])) end
      for _, line in ipairs(c[11]) do
        want('skus', line[2])
        if line[4] ~= '' then want('positions', position_key(line[2], line[4])) end
      end
    elseif tag == C.RECALL then
      want('ids', identity_of(c[2]))
      want('refused', identity_of(c[2]))
    elseif tag == C.AFFECT then
      want('skus', c[2])
      want('positions', position_key(c[2], c[3]))
      for _, id in ipairs(c[7]) do want('ids', identity_of(id)) end
    elseif tag == C.POLICY then
      if c[2] == 'item' then want('skus', c[3]) end
      if (c[10] or 0) > 0 then want('refused', calls.name(c[10])) end
    elseif tag == C.TOUCH then
      want('skus', c[2])
      want('sources', c[4])
      want('streams', c[7])
    elseif tag == C.HEARTBEAT then
      want('sources', c[2])
      want('streams', c[3])
    elseif tag == C.RECHECK then
      for _, sku in ipairs(c[4]) do
        want('skus', sku)
        want('positions', position_key(sku, c[2]))
      end
    elseif tag == C.ADJUST then
      want('skus', c[2])
      want('positions', position_key(c[2], c[3]))
    elseif tag == C.PUTBACK then
      want('ids', identity_of(c[2]))
    elseif tag == C.RESOLVE then
      if (c[12] or 0) > 0 then want('refused', calls.name(c[12])) end
    elseif tag == C.REPAIR or tag == C.OVERDUE or tag == C.MOVE or tag == C.RESTART or tag == C.RAISE or tag == C.SNAPSHOTDECIDE then
      -- read in place: they are rare
    elseif tag >= C.OPEN then
      legs.gather(c, want)
    else
      want('ids', identity_of(c[2]))
      if tag == C.CONFIRM and c[4] ~= '' then want('orders', c[4]) end
      if tag == C.CONFIRM and #c[9] > 0 then
        for _, line in ipairs(c[9][1][R_LINES]) do want('skus', line[L_SKU]) end
      end
      if tag == C.ACKNOWLEDGE and c[7] ~= '' then want('sources', c[7]) end
    end
  end
  if wanted.orders[1] then
    fetch(b.prefix .. 'orders', wanted.orders, b.orders, unpack_one)
    for _, ref in ipairs(wanted.orders) do
      for _, id in ipairs(naming.ids(b, ref)) do want('ids', identity_of(id)) end
    end
  end
  fetch(b.prefix .. 'res', wanted.ids, b.raw)
  if b.basket_count > 0 then legs.read_baskets(b, wanted.ids) end
  for _, identity in ipairs(wanted.ids) do
    local r = find_reservation(b, identity)
    if r and not r.tombstone then
      if r[R_CUSTOMER] ~= '' then want('holding', position_key(r[R_CHANNEL], r[R_CUSTOMER])) end
      for _, line in ipairs(r[R_LINES]) do
        want('skus', line[L_SKU])
        for _, a in ipairs(line[L_ALLOCATIONS]) do want('positions', position_key(line[L_SKU], a[A_LOCATION])) end
      end
    end
  end
  fetch(b.prefix .. 'sku', wanted.skus, b.skus, unpack_one)
  local many = {}
  for _, sku in ipairs(wanted.skus) do
    if b.skus[sku] and b.skus[sku][S.LOCATIONS] == '+' then many[#many + 1] = sku end
  end
  if #many > 0 then fetch(b.prefix .. 'places', many, b.places) end
  for _, c in ipairs(commands) do
    if c[1] == C.RESERVE then
      for _, line in ipairs(c[11]) do
        if line[4] == '' then
          local first = ranked(b, line[2], c[5], line[5])[empty_places(b, line[2]) + 1]
          if first then want('positions', position_key(line[2], first)) end
        end
      end
    end
  end
  fetch(b.prefix .. 'pos', wanted.positions, b.positions, unpack_one)
  if #wanted.holding > 0 then fetch(b.prefix .. 'holding', wanted.holding, b.holding, tonumber) end
  fetch(b.prefix .. 'source', wanted.sources, b.sources, unpack_one)
  fetch(b.prefix .. 'cursor', wanted.streams, b.cursors, tonumber)
  stock.look_for_recent(b, wanted.recent, known.recent)
  if #wanted.refused > 0 then
    b.refused_count = call('HLEN', b.prefix .. 'refused:' .. b.refused_gen)
    for gen = b.refused_gen - 1, b.refused_gen do
      local values, key = {}, b.prefix .. 'refused:' .. gen
      local held = gen == b.refused_gen and b.refused_count or call('HLEN', key)
      if held > 0 then fetch(key, wanted.refused, values, unpack_one) end
      for id, value in pairs(values) do
        if value then b.refused[id] = { gen = gen, value = value } end
      end
    end
  end
end

local function pack_value(_, value) return pack(value) end

-- What counts nothing goes.
local function count_of(_, count) return count > 0 and count end

local function write_recent(b)
  for key, recent in pairs(b.recent) do
    local removed = {}
    for event in pairs(recent.removed) do removed[#removed + 1] = event end
    if removed[1] then bulk('HDEL', key, removed) end
    if next(recent.added) then write_hash(key, recent.added) end
  end
end

local function write_refused(b, gen_before)
  if b.refused_gen ~= gen_before then
    for gen = gen_before - 1, b.refused_gen - 2 do call('UNLINK', b.prefix .. 'refused:' .. gen) end
  end
  local by_gen = {}
  for id, refusal in pairs(b.new_refused) do
    by_gen[refusal[1]] = by_gen[refusal[1]] or {}
    by_gen[refusal[1]][id] = refusal[2]
  end
  for gen, refused in pairs(by_gen) do
    if gen >= b.refused_gen - 1 then write_hash(b.prefix .. 'refused:' .. gen, refused, pack_value) end
  end
end

local function scatter(b, header, gen_before, meta)
  keep_sums(b)
  if b.entry_count > 0 then
    call('XADD', b.prefix .. 'outbox', string.format('%.0f-0', b.seq), 'f', FORMAT,
      'e', array_header(b.entry_count) .. table.concat(b.entries))
  end
  call('HSET', b.prefix .. 'meta', 'seq', b.seq, 'last_now', b.now, 'policy_version', b.policy_version,
    'refused_gen', b.refused_gen, 'refused_since', b.refused_since, 'network', b.network)
  clock.write(b)
  shortage.write(b)
  exceptions.write(b)
  snapshots.write(b)
  stock.write_adjusted(b)
  naming.write(b)
  sources.write(b, meta)
  call('HSET', b.prefix .. 'sessions', header[2], header[3])
  write_retention(b) -- before the records: an id that is forgotten may be used anew in the same batch
  write_hash(b.prefix .. 'res', b.dirty_reservations, function(identity) return b.raw[identity] end)
  write_hash(b.prefix .. 'pos', b.dirty_positions, pack_value)
  write_hash(b.prefix .. 'places', b.dirty_places)
  write_hash(b.prefix .. 'supply', b.dirty_supplies, pack_value)
  write_hash(b.prefix .. 'sku', b.dirty_skus, function(sku) return pack(b.skus[sku]) end)
  write_scores(b.prefix .. 'due', b.due)
  write_recent(b)
  write_hash(b.prefix .. 'source', b.dirty_sources, pack_value)
  write_hash(b.prefix .. 'cursor', b.dirty_cursors)
  write_hash(b.prefix .. 'policy', b.dirty_policies)
  write_hash(b.prefix .. 'authority', b.dirty_authorities)
  write_hash(b.prefix .. 'location', b.dirty_locations, pack_value)
  write_hash(b.prefix .. 'campaign', b.dirty_campaigns, pack_value)
  write_fields(b.prefix .. 'holding', b.dirty_holding, count_of)
  for campaign in pairs(b.closed) do call('UNLINK', b.prefix .. 'buyers:' .. campaign) end
  for campaign, buyers in pairs(b.buyers) do write_fields(b.prefix .. 'buyers:' .. campaign, buyers.dirty, count_of) end
  write_refused(b, gen_before)
  legs.write(b, meta)
  write_counts(b)
end

local PLAIN_RESULT = '\192\144\160\194' -- nil, [], "", false

local function pack_result(outcome, seq, record, shortfalls, detail, replayed)
  local head = '\150' .. pack(outcome, seq)
  if not (record or shortfalls or detail or replayed) then return head .. PLAIN_RESULT end
  if not (shortfalls or detail or replayed) then return head .. record .. '\144\160\194' end
  return head .. (record or '\192') .. pack(shortfalls or {}, detail or '', replayed or false)
end

local function apply(keys, args, relief)
  local began = os.clock()
  bind()
  local prefix = string.sub(keys[1], 1, -5)
  local header = unpack_one(args[1])
  local meta = read_meta(prefix)
  local refusal = refuse_batch(prefix, meta, header)
  if refusal then return redis.error_reply(refusal) end
  local commands = unpack_one(args[2])
  local now, time, apart = clock.read(meta, header)
  local b = new_batch(prefix, meta, now)
  b.apart = apart
  local gen_before = b.refused_gen
  b.policies = load_policies(prefix, meta)
  clock.start(b, meta, header, time)
  local due = clock.due_holds(b, header[8] + 1)
  if #due > header[8] then
    b.due_left = true
    due[#due] = nil
  end
  gather(b, commands, due)
  retire(b)
  settle(b, due)
  pass_edges(b)
  naming.give_up(b)
  sources.listen(b)
  if b.watching then settle_sums(b) end
  snapshots.tell_overdue(b)
  local results = {}
  for i, c in ipairs(commands) do
    if relief and not has_room(b, c) then
      results[i] = pack_result(O.NO_ROOM, b.seq)
    else
      results[i] = pack_result(handlers[c[1]](b, c))
      if b.watching then settle_sums(b) end
    end
  end
  shortage.close(b)
  scatter(b, header, gen_before, meta)
  local spent = math.floor((os.clock() - began) * 1e6)
  return '\154' .. pack(header[1], header[4], b.seq, b.now, clock.next_due(b), b.policy_version, b.due_left,
    b.seq - tonumber(meta.trimmed), spent) .. array_header(#results) .. table.concat(results)
end
