-- Exceptions: domain/rules/exceptions.py gives the reasons. Hash `exception`: subject -> seq of the entry that raised it.

local exceptions = {}

local function subject(kind, sku, location, source, reservation)
  return table.concat({ kind, sku, location, source, reservation }, '\31')
end

local function raised_at(b, key)
  local known = b.exceptions[key]
  if known == nil then
    known = b.exception_count > 0 and call('HGET', b.prefix .. 'exception', key) or false
    b.exceptions[key] = known
  end
  return known and tonumber(known)
end

-- The seq of the entry that raised it, while it is open.
function exceptions.find(b, ...) return raised_at(b, subject(...)) end

function exceptions.raised_at(b, key) return raised_at(b, key) or 0 end

-- Whether it is open, and since which seq, as a repair says; 0: it is not.
function exceptions.set(b, key, seq)
  local before = raised_at(b, key) and 1 or 0
  b.exceptions[key], b.dirty_exceptions[key] = seq > 0 and seq, true
  b.exception_count = b.exception_count + (seq > 0 and 1 or 0) - before
end

-- Tell people, unless they are told already; whether it is news.
function exceptions.raise(b, kind, cause, sku, location, source, reservation, detail)
  local key = subject(kind, sku, location, source, reservation)
  if raised_at(b, key) or b.exception_count >= OPEN_MAX then return false end
  local seq = next_seq(b)
  b.exceptions[key], b.dirty_exceptions[key], b.exception_count = seq, true, b.exception_count + 1
  log(b, pack({ E.RAISED, seq, b.now, '', cause, kind, sku, location, source, reservation, detail }))
  return true
end

-- It is over, by itself or by a person's word; whether it was open.
function exceptions.over(b, kind, cause, sku, location, source, reservation, resolution, reason, client)
  local key = subject(kind, sku, location, source, reservation)
  local raised = raised_at(b, key)
  if not raised then return false end
  b.exceptions[key], b.dirty_exceptions[key], b.exception_count = false, true, b.exception_count - 1
  log(b, pack({ E.RESOLVED, next_seq(b), b.now, client, cause, kind, raised, resolution, reason }))
  return true
end

-- Whether acknowledged changes are gone and nobody has accepted that yet.
function exceptions.is_lost(b) return b.exception_count > 0 and raised_at(b, 'loss\31\31\31\31') end

function exceptions.write(b)
  if not next(b.dirty_exceptions) then return end
  write_fields(b.prefix .. 'exception', b.dirty_exceptions, function(key) return b.exceptions[key] end)
  call('HSET', b.prefix .. 'meta', 'exceptions', b.exception_count)
end

local function raise_told(b, c)
  local news = exceptions.raise(b, c[2], c[8], c[3], c[4], c[5], c[6], c[7])
  return news and O.APPLIED or O.DUPLICATE, b.seq
end

-- A shortage stays open for the law; people are done with it.
local function resolve_shortage(b, c)
  local short = lookup(b, b.shortages, 'shortage', position_key(c[3], c[4]))
  if not short or short[2] ~= c[7] then return O.NOT_FOUND, b.seq, nil, nil, c[2] end
  local seq = next_seq(b)
  log(b, pack({ E.RESOLVED, seq, b.now, c[10], c[11], c[2], c[7], c[8], c[9] }))
  return calls.answer(b, c[12], seq)
end

local function resolve(b, c)
  if calls.answered(b, c[12]) then return calls.answered(b, c[12]) end
  if c[2] == 'shortage' then return resolve_shortage(b, c) end
  if raised_at(b, subject(c[2], c[3], c[4], c[5], c[6])) ~= c[7] then return O.NOT_FOUND, b.seq, nil, nil, c[2] end
  exceptions.over(b, c[2], c[11], c[3], c[4], c[5], c[6], c[8], c[9], c[10])
  return calls.answer(b, c[12], b.seq)
end

handlers[C.RAISE], handlers[C.RESOLVE] = raise_told, resolve
