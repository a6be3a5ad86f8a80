-- read: questions that write nothing. Queries are {kind, argument, …}; kinds: 1 one reservation, 2 one sku, 3 all
-- policies of a kind, 4 one policy, 5 a stream's cursor, 6 the head, 7 one sku with what its availability is made of, 8
-- what its event says; of snapshots 20 a page of positions that one may not name, 21 what is left to do for complete
-- ones, 22 the last one of a source; of baskets that span partitions 30 the undecided ones past their time, 31 those whose
-- legs have to follow, 32 is one undecided; 33 the skus of an order; 40 those of some skus whose sums differ from their
-- positions.
--
-- A call answers as many of them, in their order, as it may take time for, and one always; who asked asks again for the
-- rest. Each answer is one atomic reading, and one of a later call is never older.

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

local answers = {} -- by kind: functions of the batch and the query, that return what is packed

-- A packed answer, or nil in its place.
local function or_nil(found) return found and pack(found) or '\192' end

answers[1] = function(b, query)
  local r = find_by_id(b, query[2])
  return r and not r.tombstone and packed(b, query[2]) or '\192'
end
answers[2] = function(b, query) return pack(availability.of_sku(b, query[2], query[3])) end
answers[3] = function(b, query) return pack(read_policies(b, query[2])) end
answers[4] = function(b, query) return or_nil(read_policy(b, query[2], query[3])) end
answers[5] = function(b, query) return pack(tonumber(call('HGET', b.prefix .. 'cursor', query[2]) or 0)) end
answers[6] = function(b) return pack(read_head(b, b.meta)) end
answers[7] = function(b, query) return pack(explain_sku(b, query[3], availability.of_sku(b, query[2], query[3]))) end
answers[8] = function(b, query) return pack(availability.units_of(b, query[2], query[3])) end
answers[20] = function(b, query) return pack(snapshots.scan(b, unpack(query, 2))) end
answers[21] = function(b) return pack(snapshots.read_sweeps(b)) end
answers[22] = function(b, query) return or_nil(snapshots.find(b, query[2])) end
answers[30] = function(b, query) return pack(legs.read_undecided(b, query[2])) end
answers[31] = function(b, query) return pack(legs.read_following(b, query[2])) end
answers[32] = function(b, query) return pack(legs.is_open(b, query[2])) end
answers[33] = function(b, query) return pack(naming.skus(b, query[2])) end
answers[40] = function(b, query) return pack(looks.wrong_sums(b, query[2])) end

-- ARGV queries, number of the call, µs it may take, and in tests the time -> [number, µs it took, [answer, …]]
local function read(keys, args)
  local began = os.clock()
  bind()
  local prefix = string.sub(keys[1], 1, -5)
  local meta = read_meta(prefix)
  if not meta then return redis.error_reply('EMPTY no ledger here') end
  local now = args[4] and tonumber(args[4]) or clock.now()
  local b = new_batch(prefix, meta, math.max(now, tonumber(meta.last_now)))
  b.policies, b.opened = load_policies(prefix, meta), tonumber(meta.opened or 0)
  local queries, found, may_take = unpack_one(args[1]), {}, tonumber(args[3]) / 1e6
  repeat
    for _ = 1, math.max(1, availability.gather(b, queries, #found + 1)) do
      local query = queries[#found + 1]
      found[#found + 1] = answers[query[1]](b, query)
    end
  until #found == #queries or os.clock() - began > may_take
  return '\147' .. pack(tonumber(args[2]), math.floor((os.clock() - began) * 1e6)) .. array_header(#found)
    .. table.concat(found)
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
