-- Promotion: a replica that became the primary begins a new epoch before it takes a batch (R6).

-- KEYS {ns:p}:meta  ARGV the server's replication id -> 1. The id of the server that the epoch is at home on, remembered
-- once: by it a later promotion is noticed.
local function remember(keys, args)
  bind()
  local epoch, known = unpack(call('HMGET', keys[1], 'epoch', 'replid'))
  if epoch and not known then call('HSET', keys[1], 'replid', args[1]) end
  return 1
end

-- KEYS {ns:p}:meta  ARGV the epoch it is in, the new first seq, the server's replication id -> 1, or 0 if another was
-- quicker. Whoever knows the epoch before is refused from here on; no seq of its end is used again (R2).
local function promote(keys, args)
  bind()
  local prefix = string.sub(keys[1], 1, -5)
  local epoch, seq, partitions, law, last_now, trimmed =
    unpack(call('HMGET', keys[1], 'epoch', 'seq', 'partitions', 'law', 'last_now', 'trimmed'))
  if not epoch then return redis.error_reply('EMPTY no ledger here') end
  if epoch ~= args[1] or tonumber(args[2]) <= tonumber(seq) then return 0 end
  if tonumber(trimmed) == tonumber(seq) then trimmed = tonumber(args[2]) - 1 end -- numbers left out wait for no journal
  local followed = seq
  seq, epoch = tonumber(args[2]), tonumber(epoch) + 1
  local now = math.max(clock.now(), tonumber(last_now))
  local entry = pack({ E.OPENED, seq, now, '', '', epoch, tonumber(partitions), tonumber(law) })
  call('XADD', prefix .. 'outbox', string.format('%.0f-0', seq), 'f', FORMAT, 'e', array_header(1) .. entry)
  call('HSET', keys[1], 'epoch', epoch, 'opened', seq, 'seq', seq, 'last_now', now, 'trimmed', trimmed,
    'replid', args[3], 'followed', followed)
  return 1
end

redis.register_function({ function_name = '@LIBRARY@_remember', callback = remember })
redis.register_function({ function_name = '@LIBRARY@_promote', callback = promote, flags = { 'allow-oom' } })
