-- read: questions that write nothing, answered as one atomic reading. Queries are {kind, argument}; kinds: 1 one
-- reservation, 2 one sku, 3 all policies of a kind, 4 one policy, 5 a stream's cursor, 6 the head, 7 one sku with what
-- its availability is made of; of snapshots 20 a page of positions that one may not name, 21 what is left to do for
-- complete ones, 22 the last one of a source; of baskets that span partitions 30 the undecided ones past their time, 31
-- those whose legs have to follow, 32 is one undecided; 33 the skus of an order; 40 those of some skus whose sums differ
-- from their positions.

-- Days with supply that counts at active locations, in their order.
local function supply_days(b, sku, names)
  local found, known = {}, {}
  for _, location in ipairs(names) do
    local days = is_active(b, location) and find_position(b, sku, location)[P_SUPPLY] or {}
    for i = 1, #days, 5 do
      if days[i + 1] > b.now and days[i + 2] > 0 and not known[days[i]] then
        known[days[i]] = true
        found[#found + 1] = days[i]
      end
    end
  end
  table.sort(found, bytes_less)
  return found
end

-- What a reserve of this sku would be granted now, in all and at each location, and for the day that was asked for, else
-- for each with supply due: {day, units}. `asked` is {channel, campaign, location, group, day}.
local function grants_of(b, sku, asked, names)
  local channel, campaign, at, group, wanted = asked[1], asked[2], asked[3], asked[4], asked[5] or ''
  local ats, total, promises = {}, 0, {}
  for i = 1, #names do ats[i] = 0 end
  local running = may_sell(b, channel, campaign)
  local function most(day)
    if not running then return 0 end
    local s, units, line = new_sourcing(b, channel, campaign), 0, { '', sku, 0, '', group, day }
    if at ~= '' then return free_units(s, line, at) end
    for _, draw in ipairs(fill(s, line, math.huge, {})) do units = units + draw[2] end
    return units
  end
  if running then
    local s = new_sourcing(b, channel, campaign)
    for i, location in ipairs(names) do ats[i] = free_units(s, { '', sku, 0, '', '', '' }, location) end
  end
  local days = wanted ~= '' and { wanted } or supply_days(b, sku, names)
  for i, day in ipairs(days) do promises[i] = { day, most(day) } end
  return ats, names[2] and most('') or ats[1] or 0, promises -- of one place, what it has is all there is
end

-- Free units of a position that promises for later days need.
local function promised_later(b, sku, location)
  local place = position_key(sku, location)
  local free, days = free_at(b, sku, location, place), find_position(b, sku, location)[P_SUPPLY]
  return days[1] and is_active(b, location) and math.max(0, free) - math.max(0, lowest(free, days, '', b.now)) or 0
end

-- {source, role, as of, lag, stale, uncertain} of each source at a position: first the one that is sold, then those that
-- the location lists, then others that said something of it.
local function sources_at(b, s, p, location)
  local policy, found, known = b.policies.locations[location], {}, {}
  local function add(id)
    if id == '' or known[id] then return end
    known[id] = true
    local n, about = find_number(p, id), lookup(b, b.sources, 'source', id)
    local _, uncertain = marks_of(n or {})
    local stale = about and about[U.BEATS] and sources.deadline(b, id, about) <= b.now or sources.is_old(b, id, n)
    found[#found + 1] = { id, role_of(b, id, location), n and n[N_AS_OF] or 0, about and about[U.LAG] or 0, stale, uncertain }
  end
  add(selling(b, s, p, location))
  for _, id in ipairs(policy and policy.sources or {}) do add(id) end
  for _, n in ipairs(p[P_SOURCES]) do add(n[N_SOURCE]) end
  return found
end

local function fetch_new(b, wanted)
  local unread = {}
  for _, place in ipairs(wanted) do
    if b.positions[place] == nil then unread[#unread + 1] = place end
  end
  fetch(b.prefix .. 'pos', unread, b.positions, unpack_one)
end

-- Read what several skus are answered with at once; whoever asks about one place reads that alone.
local function gather_skus(b, queries)
  local skus, wanted = {}, {}
  for _, query in ipairs(queries) do
    if query[1] == 2 and query[3][3] == '' then skus[#skus + 1] = query[2] end
  end
  if not skus[2] then return end
  fetch(b.prefix .. 'sku', skus, b.skus, unpack_one)
  for _, sku in ipairs(skus) do
    local s = b.skus[sku]
    for _, location in ipairs(s and s[S.LOCATIONS] ~= '+' and locations_of(b, s, sku) or {}) do
      wanted[#wanted + 1] = position_key(sku, location)
    end
  end
  fetch(b.prefix .. 'pos', wanted, b.positions, unpack_one)
end

-- No position is before the opening of the epoch, which may have taken back what had a higher one (R2).
local function read_sku(b, sku, asked)
  local s = find_sku(b, sku)
  if not s then return { sku, b.opened, {}, 0, (asked[5] or '') ~= '' and { { asked[5], 0 } } or {} } end
  local names, wanted = {}, {}
  for _, location in ipairs(locations_of(b, s, sku)) do
    if (asked[3] == '' or asked[3] == location) and sells_at(b.policies, asked[1], location, asked[4]) then
      names[#names + 1] = location
      wanted[#names] = position_key(sku, location)
    end
  end
  fetch_new(b, wanted)
  table.sort(names, function(x, y)
    local a, c = b.policies.locations[x], b.policies.locations[y]
    if a and c then return a.rank < c.rank end
    if a or c then return a ~= nil end
    return bytes_less(x, y)
  end)
  local locations, ats, total, promises = {}, grants_of(b, sku, asked, names)
  for i, location in ipairs(names) do
    local policy, p = b.policies.locations[location], find_position(b, sku, location)
    locations[i] = { balance(b, sku, location), policy ~= nil and policy.active, sources_at(b, s, p, location), ats[i],
      promised_later(b, sku, location), on_fallback(b, p, location) ~= nil }
  end
  return { sku, math.max(s[S.SEQ], b.opened), locations, total, promises }
end

local function read_share(b, id)
  local sku, channel = split_id(id)
  local s = find_sku(b, sku)
  local seller = s and find_seller(s, channel)
  if not seller then return false end
  local body = { protection = seller[W.PROTECTION], cap = seller[W.CAP] >= 0 and seller[W.CAP] or nil }
  return { 'item-channel', id, seller[W.VERSION], cjson.encode(body) }
end

local function read_policies(b, kind)
  local found, stored = {}, call('HGETALL', b.prefix .. 'policy')
  for i = 1, #stored, 2 do
    local k, id = string.match(stored[i], '^([%l-]+)/(.*)$')
    if k == kind then
      local value = unpack_one(stored[i + 1])
      found[#found + 1] = { kind, id, value[1], value[2] }
    end
  end
  return found
end

local function read_policy(b, kind, id)
  if kind == 'item' then
    local s = find_sku(b, id)
    return s and s[S.VERSION] > 0 and { kind, id, s[S.VERSION], s[S.POLICY] }
  end
  if kind == 'item-channel' then return read_share(b, id) end
  local stored = call('HGET', b.prefix .. 'policy', kind .. '/' .. id)
  if not stored then return false end
  local value = unpack_one(stored)
  return { kind, id, value[1], value[2] }
end

local function read_head(b, meta)
  return { tonumber(meta.epoch), b.seq, b.seq - tonumber(meta.trimmed), b.now, tonumber(meta.law),
    tonumber(call('HGET', b.prefix .. 'meta', 'partitions')), b.policy_version,
    clock.next_due(b) }
end

local function read(keys, args)
  bind()
  local prefix = string.sub(keys[1], 1, -5)
  local meta = read_meta(prefix)
  if not meta then return redis.error_reply('EMPTY no ledger here') end
  local now = args[2] and tonumber(args[2]) or clock.now() -- a test brings its own
  local b = new_batch(prefix, meta, math.max(now, tonumber(meta.last_now)))
  b.policies, b.opened = load_policies(prefix, meta), tonumber(meta.opened or 0)
  local queries, answers = unpack_one(args[1]), {}
  gather_skus(b, queries)
  for i, query in ipairs(queries) do
    local kind, answer = query[1], nil
    if kind == 1 then
      local r = find_by_id(b, query[2])
      answer = r and not r.tombstone and packed(b, query[2]) or '\192'
    elseif kind == 2 then
      answer = pack(read_sku(b, query[2], query[3]))
    elseif kind == 3 then
      answer = pack(read_policies(b, query[2]))
    elseif kind == 4 then
      local policy = read_policy(b, query[2], query[3])
      answer = policy and pack(policy) or '\192'
    elseif kind == 5 then
      answer = pack(tonumber(call('HGET', prefix .. 'cursor', query[2]) or 0))
    elseif kind == 9 then
      answer = pack(query[2])
    elseif kind == 7 then
      answer = pack(explain_sku(b, query[3], read_sku(b, query[2], query[3])))
    elseif kind == 20 then
      answer = pack(snapshots.scan(b, unpack(query, 2)))
    elseif kind == 21 then
      answer = pack(snapshots.read_sweeps(b))
    elseif kind == 22 then
      local found = snapshots.find(b, query[2])
      answer = found and pack(found) or '\192'
    elseif kind == 30 then
      answer = pack(legs.read_undecided(b, query[2]))
    elseif kind == 31 then
      answer = pack(legs.read_following(b, query[2]))
    elseif kind == 33 then
      answer = pack(naming.skus(b, query[2]))
    elseif kind == 40 then
      answer = pack(looks.wrong_sums(b, query[2]))
    elseif kind == 32 then
      answer = pack(legs.is_open(b, query[2]))
    else
      answer = pack(read_head(b, meta))
    end
    answers[i] = answer
  end
  return array_header(#answers) .. table.concat(answers)
end

local function create(keys, args)
  bind()
  local prefix = string.sub(keys[1], 1, -5)
  if call('EXISTS', keys[1]) == 1 then return 0 end
  local partition, partitions, law, epoch, seq = unpack(args)
  local now, t = clock.now(), call('TIME')
  seq = tonumber(seq) + 1
  local entry = pack({ E.OPENED, seq, now, '', '', tonumber(epoch), tonumber(partitions), tonumber(law) })
  call('XADD', prefix .. 'outbox', string.format('%.0f-0', seq), 'f', FORMAT, 'e', array_header(1) .. entry)
  call('HSET', keys[1], 'law', law, 'partition', partition, 'partitions', partitions, 'epoch', epoch, 'seq', seq,
    'last_now', now, 'policy_version', 0, 'network', 0, 'refused_gen', 1, 'refused_since', now, 'trimmed', seq - 1,
    'birth', t[1] .. '.' .. t[2])
  call('DEL', prefix .. 'rebuild', prefix .. 'progress', prefix .. 'witness')
  return 1
end

local function trim(keys, args)
  bind()
  local prefix = string.sub(keys[1], 1, -5)
  local through = tonumber(args[1])
  local meta = read_meta(prefix)
  if not meta then return redis.error_reply('EMPTY no ledger here') end
  if through <= tonumber(meta.trimmed) then return 0 end
  local gone = call('XTRIM', prefix .. 'outbox', 'MINID', string.format('%.0f-0', through + 1))
  call('HSET', keys[1], 'trimmed', math.min(through, tonumber(meta.seq)))
  return gone
end

redis.register_function({ function_name = '@LIBRARY@_apply', callback = function(keys, args) return apply(keys, args, false) end })
redis.register_function({ function_name = '@LIBRARY@_apply_relief', flags = { 'allow-oom' },
  callback = function(keys, args) return apply(keys, args, true) end })
redis.register_function({ function_name = '@LIBRARY@_read', callback = read, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_look', callback = looks.records, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_create', callback = create })
redis.register_function({ function_name = '@LIBRARY@_trim', callback = trim, flags = { 'allow-oom' } })
