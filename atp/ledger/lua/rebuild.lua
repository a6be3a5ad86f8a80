-- rebuild: a partition that is empty or lost its tail is made anew, by one process at a time (R2, DESIGN §5). Each step
-- names the token of the `begin` it belongs to, so a rebuilder that slept through its successor's begin writes nothing.
-- `begin` takes meta away, and every batch is refused as EMPTY from then on; `open` writes it as the last thing. Records
-- are stored by plain commands in between, under the same condition: ledger/storing.py.

local function prefix_of(keys) return string.sub(keys[1], 1, -5) end

-- Why a step is refused, or nil.
local function refuse_step(prefix, token)
  if call('HGET', prefix .. 'rebuild', 'token') ~= token then return 'SUPERSEDED another process rebuilds' end
  if call('EXISTS', prefix .. 'meta') == 1 then return 'OPENED this ledger is open' end
end

-- ARGV token, the epoch that is to end ('' for a ledger that is empty) -> its last seq, or 0. The outbox stays.
local function begin(keys, args)
  bind()
  local prefix, token, epoch = prefix_of(keys), args[1], args[2]
  local found = call('HMGET', keys[1], 'epoch', 'seq')
  if found[1] and found[1] ~= epoch then return redis.error_reply('OPENED under epoch ' .. found[1]) end
  call('DEL', keys[1], prefix .. 'rebuild', prefix .. 'progress')
  call('HSET', prefix .. 'rebuild', 'token', token)
  return tonumber(found[2] or 0)
end

-- ARGV token, key, … -> how many are gone.
local function wipe(keys, args)
  bind()
  local refusal = refuse_step(prefix_of(keys), args[1])
  if refusal then return redis.error_reply(refusal) end
  return call('UNLINK', unpack(args, 2))
end

local function told_loss(prefix, seq, now, detail, accepted)
  local key, entries = 'loss\31\31\31\31', {}
  entries[1] = pack({ E.RAISED, seq + 1, now, '', '', 'loss', '', '', '', '', detail })
  if accepted then
    call('HDEL', prefix .. 'exception', key)
    entries[2] = pack({ E.RESOLVED, seq + 2, now, '', '', 'loss', seq + 1, 'accept', 'accepted beforehand' })
  else
    call('HSET', prefix .. 'exception', key, seq + 1)
  end
  return entries
end

-- ARGV token, epoch, the seq that it follows, detail of what is lost or '', '1' if that is accepted, then meta's fields
-- and values -> the head.
local function open(keys, args)
  bind()
  local prefix, epoch, before, detail = prefix_of(keys), args[2], tonumber(args[3]), args[4]
  local refusal = refuse_step(prefix, args[1])
  if refusal then return redis.error_reply(refusal) end
  local meta = {}
  for i = 6, #args, 2 do meta[args[i]] = args[i + 1] end
  local seq, t = before + 1, call('TIME')
  local now = math.max(clock.now(), tonumber(meta.last_now))
  local entries = { pack({ E.OPENED, seq, now, '', '', tonumber(epoch), tonumber(meta.partitions), tonumber(meta.law) }) }
  if detail ~= '' then
    for _, entry in ipairs(told_loss(prefix, seq, now, detail, args[5] == '1')) do entries[#entries + 1] = entry end
  end
  seq = before + #entries
  call('XADD', prefix .. 'outbox', string.format('%.0f-0', seq), 'f', FORMAT, 'e',
    array_header(#entries) .. table.concat(entries))
  call('HSET', keys[1], unpack(args, 6))
  call('HSET', keys[1], 'epoch', epoch, 'opened', before + 1, 'seq', seq, 'trimmed', before, 'network', seq, 'refused_gen', 1,
    'refused_since', now, 'exceptions', call('HLEN', prefix .. 'exception'), 'birth', t[1] .. '.' .. t[2],
    'silence_from', now, 'next_silence', now) -- all sources count as heard now (R12)
  call('DEL', prefix .. 'rebuild', prefix .. 'progress', prefix .. 'witness')
  return seq
end

-- ARGV the epoch that a process knew, the last seq it saw of it -> 1 if that tells of a loss nobody else knew of, else 0.
-- A witness that comes after the new epoch began, or that a promotion did not ask (R2); `followed` is the seq up to which
-- that epoch has everything.
local function late(keys, args)
  bind()
  local prefix, witnessed = prefix_of(keys), tonumber(args[2])
  local epoch, seq, last_now, followed = unpack(call('HMGET', keys[1], 'epoch', 'seq', 'last_now', 'followed'))
  if not followed or tonumber(epoch) ~= args[1] + 1 or witnessed <= tonumber(followed) then return 0 end
  call('HSET', keys[1], 'followed', witnessed)
  if call('HEXISTS', prefix .. 'exception', 'loss\31\31\31\31') == 1 then return 0 end
  local now = math.max(clock.now(), tonumber(last_now))
  local detail = string.format('entries %.0f to %.0f are gone: a process has seen them', followed + 1, witnessed)
  seq = tonumber(seq) + 1
  call('XADD', prefix .. 'outbox', string.format('%.0f-0', seq), 'f', FORMAT, 'e',
    array_header(1) .. told_loss(prefix, seq - 1, now, detail, false)[1])
  call('HSET', keys[1], 'seq', seq, 'last_now', now, 'exceptions', call('HLEN', prefix .. 'exception'))
  return 1
end

-- What of a partition is no state, or no state that outlives it.
local PASSING = {
  outbox = true, sessions = true, witness = true, rebuild = true, progress = true, quota = true,
  frozen = true, lease = true, refused = true,
}

-- Copies of all records of one instant below `frozen:`, so that they can be read in pages -> {epoch, seq, now}.
local function freeze(keys)
  bind()
  local prefix = prefix_of(keys)
  local meta = read_meta(prefix)
  if not meta then return redis.error_reply('EMPTY no ledger here') end
  for _, key in ipairs(call('KEYS', prefix .. '*')) do
    local name = string.sub(key, #prefix + 1)
    if not PASSING[string.match(name, '^%l+')] then call('COPY', key, prefix .. 'frozen:' .. name, 'REPLACE') end
  end
  return { tonumber(meta.epoch), tonumber(meta.seq), clock.now() }
end

redis.register_function({ function_name = '@LIBRARY@_begin', callback = begin, flags = { 'allow-oom' } })
redis.register_function({ function_name = '@LIBRARY@_wipe', callback = wipe, flags = { 'allow-oom' } })
redis.register_function({ function_name = '@LIBRARY@_open', callback = open })
redis.register_function({ function_name = '@LIBRARY@_late', callback = late, flags = { 'allow-oom' } })
redis.register_function({ function_name = '@LIBRARY@_freeze', callback = freeze })
