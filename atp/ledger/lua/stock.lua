-- Stock events: domain/rules/stock.py gives the reasons. Level and delta share the slots up to as_of.

local stock = {} -- what the other events of a source need
-- How a source orders its events: by its policy, else as it always did, else as it does now.
local function expected_kind(b, id, kind)
  local policy = b.policies.sources[id]
  if policy and policy.version ~= '' then return policy.version end
  local source = lookup(b, b.sources, 'source', id)
  return source and source[2] or kind
end

function stock.is_settled(b, c) return c[9] > 0 and c[9] <= (b.cursors[c[8]] or 0) end

-- How the source orders its events, if this one is ordered otherwise.
function stock.other_kind(b, c)
  local expected = expected_kind(b, c[4], c[6])
  if c[6] ~= expected then return expected end
end

function stock.refuse(b, c, measure)
  if stock.is_settled(b, c) then return O.SETTLED end
  if not b.policies.locations[c[3]] then return O.UNKNOWN_LOCATION, c[3] end
  local measured = measure_of(b, c[4])
  if measure ~= '' and measure ~= measured then return O.MEASURE_MISMATCH, measured end
  local expected = stock.other_kind(b, c)
  if expected then return O.VERSION_KIND_MISMATCH, expected end
end

function stock.source_record(b, id, kind, cause)
  local source = lookup(b, b.sources, 'source', id)
  if not source then
    source = { FORMAT, kind, 1, 0 }
    b.sources[id] = source
    b.dirty_sources[id] = source
    log(b, pack({ E.SOURCE, next_seq(b), b.now, '', cause, id, kind, 1 }))
  end
  return source
end

function stock.seen(b, c, source, n)
  if c[10] > 0 then
    if n then n[N_AS_OF] = math.max(n[N_AS_OF], c[10]) end
    source[4] = math.max(0, b.now - c[10])
    b.dirty_sources[c[4]] = source
  end
end

-- The remembered deltas of a position and source: digest -> {version, quantity}. A delta asks for its own digest and
-- for how many there are; only a level, or a full memory, reads them all.
local function recent_of(b, c)
  local key = b.prefix .. 'recent:' .. c[2] .. '\0' .. c[3] .. '\0' .. c[4]
  local recent = b.recent[key]
  if not recent then
    recent = { key = key, items = {}, whole = false, count = call('HLEN', key), added = {}, removed = {} }
    b.recent[key] = recent
  end
  return recent
end

local function unpack_delta(packed)
  local generation, high, low, quantity = struct.unpack('>HI4I4i4', packed)
  return { { generation, high, low }, quantity }
end

local function read_recent(recent)
  if recent.whole then return end
  recent.whole = true
  if recent.count == 0 then return end
  local stored = call('HGETALL', recent.key)
  for i = 1, #stored, 2 do
    local event = stored[i]
    if not recent.removed[event] and not recent.items[event] then
      recent.items[event] = unpack_delta(stored[i + 1])
    end
  end
end

local function is_recent(recent, event)
  if recent.items[event] then return true end
  return not recent.whole and recent.count > 0 and not recent.removed[event] and call('HEXISTS', recent.key, event) == 1
end

local function remember(recent, event, version, quantity)
  recent.items[event] = { version, quantity }
  recent.added[event] = struct.pack('>HI4I4i4', version[1], version[2], version[3], quantity)
  recent.removed[event] = nil
  recent.count = recent.count + 1
end

local function forget(recent, event)
  recent.items[event] = nil
  recent.added[event] = nil
  recent.removed[event] = true
  recent.count = recent.count - 1
end

-- The memory is full: the oldest by version go, and their highest version becomes the floor.
local function forget_oldest(recent, n)
  read_recent(recent)
  local events = {}
  for event, item in pairs(recent.items) do events[#events + 1] = { item[1], tonumber(event), event } end
  table.sort(events, function(x, y)
    if version_less(x[1], y[1]) then return true end
    if version_less(y[1], x[1]) then return false end
    return x[2] < y[2]
  end)
  for i = 1, RECENT_CUT do forget(recent, events[i][3]) end
  local highest = events[RECENT_CUT][1]
  if version_less(n[N_FLOOR], highest) then n[N_FLOOR] = highest end
end

-- The authority's level shows every shipment that lies long enough before it.
local function count_shipped(p, as_of)
  local left, shipped = {}, p[P_SHIPPED]
  for i = 1, #shipped, 2 do
    if shipped[i] >= as_of - SHIPPED_COUNTED_MS - SHIPPED_BUCKET_MS then
      left[#left + 1] = shipped[i]
      left[#left + 1] = shipped[i + 1]
    end
  end
  p[P_SHIPPED] = left
end

local function level(b, c)
  local refusal, detail = stock.refuse(b, c, c[11])
  if refusal then return refusal, b.seq, nil, nil, detail end
  local source = stock.source_record(b, c[4], c[6], c[12])
  local version = { source[3], c[7][1], c[7][2] }
  local p = find_position(b, c[2], c[3])
  local n = p and find_number(p, c[4])
  if n and n[N_LEVEL] and (version_less(version, n[N_VERSION])
      or (not version_less(n[N_VERSION], version) and c[9] <= n[N_TIE])) then
    stock.include_orders(b, c, version)
    return O.STALE, b.seq
  end
  p = position_record(b, c[2], c[3])
  n = number_record(p, c[4])
  local before = shortage.unpromised(b, c[2], c[3])
  local policy = b.policies.locations[c[3]]
  if not policy.listed and not b.policies.authorities[c[3]] then take_authority(b, c[3], c[4], c[12]) end
  local recent = recent_of(b, c)
  read_recent(recent)
  local number = c[5]
  for event, item in pairs(recent.items) do
    if version_less(version, item[1]) then number = number + item[2] else forget(recent, event) end
  end
  if version_less(version, n[N_FLOOR]) then number = math.min(number, n[N_NUMBER]) end
  n[N_NUMBER], n[N_LEVEL], n[N_VERSION], n[N_TIE] = number, true, version, c[9]
  include(n)
  stock.seen(b, c, source, n)
  if c[4] == authority_of(b, c[3]) then
    count_shipped(p, c[10])
    asides.level_knows(p, c[4], version, c[10])
  end
  local seq = next_seq(b)
  touch(b, c[2], seq)
  log(b, pack({ E.LEVEL, seq, b.now, '', c[12], c[2], c[3], c[4], c[5], number, version, c[8], c[9], c[10],
    { balance(b, c[2], c[3]) } }))
  stock.include_orders(b, c, version)
  shortage.report(b, c[2], c[3], c[12], before)
  return O.APPLIED, seq
end

local function delta(b, c)
  local refusal, detail = stock.refuse(b, c, '')
  if refusal then return refusal, b.seq, nil, nil, detail end
  local source = stock.source_record(b, c[4], c[6], c[12])
  local version = { source[3], c[7][1], c[7][2] }
  local p = find_position(b, c[2], c[3])
  local n = p and find_number(p, c[4])
  if n and n[N_LEVEL] and not version_less(n[N_VERSION], version) then return O.INCLUDED, b.seq end
  local recent = recent_of(b, c)
  local event = string.format('%.0f', c[11])
  if is_recent(recent, event) then return O.DUPLICATE, b.seq end
  if n and not version_less(n[N_FLOOR], version) then return O.LATE_DELTA, b.seq end
  p = position_record(b, c[2], c[3])
  n = number_record(p, c[4])
  local before = shortage.unpromised(b, c[2], c[3])
  n[N_NUMBER] = n[N_NUMBER] + c[5]
  remember(recent, event, version, c[5])
  if recent.count > RECENT_MAX then forget_oldest(recent, n) end
  stock.seen(b, c, source, n)
  local seq = next_seq(b)
  touch(b, c[2], seq)
  log(b, pack({ E.DELTA, seq, b.now, '', c[12], c[2], c[3], c[4], c[5], n[N_NUMBER], version, c[8], c[9], c[10],
    c[11], { balance(b, c[2], c[3]) } }))
  shortage.report(b, c[2], c[3], c[12], before)
  return O.APPLIED, seq
end

-- Change a source's own number as by a delta, unless its level shows it already or may do; whether it changed. Slots as
-- of a delta.
function stock.change(b, c, source, version)
  local n = number_record(position_record(b, c[2], c[3]), c[4])
  local shown = n[N_LEVEL] and not version_less(n[N_VERSION], version) or not version_less(n[N_FLOOR], version)
  local recent, event = recent_of(b, c), string.format('%.0f', c[11])
  local changed = not shown and not is_recent(recent, event)
  if changed then
    n[N_NUMBER] = n[N_NUMBER] + c[5]
    remember(recent, event, version, c[5])
    if recent.count > RECENT_MAX then forget_oldest(recent, n) end
  end
  stock.seen(b, c, source, n)
  return n, changed
end

function stock.is_recent(b, c) return is_recent(recent_of(b, c), string.format('%.0f', c[11])) end

-- What a source says cannot be sold: slots as of a level, but no measure; a chain of versions of its own.
local function status(b, c)
  local refusal, detail = stock.refuse(b, c, '')
  if refusal then return refusal, b.seq, nil, nil, detail end
  local source = stock.source_record(b, c[4], c[6], c[11])
  local version = { source[3], c[7][1], c[7][2] }
  local p = find_position(b, c[2], c[3])
  local n = p and find_number(p, c[4])
  local last = n and n[N_STATUS]
  if last and last[1] and (version_less(version, last) or (not version_less(last, version) and c[9] <= last[4])) then
    return O.STALE, b.seq
  end
  p = position_record(b, c[2], c[3])
  n = number_record(p, c[4])
  local before = shortage.unpromised(b, c[2], c[3])
  n[N_UNSELLABLE] = c[5] + asides.status_knows(p, c[4], version)
  n[N_STATUS] = { version[1], version[2], version[3], c[9] }
  stock.seen(b, c, source)
  local seq = next_seq(b)
  touch(b, c[2], seq)
  log(b, pack({ E.STATUS, seq, b.now, '', c[11], c[2], c[3], c[4], n[N_UNSELLABLE], version, c[8], c[9], c[10],
    { balance(b, c[2], c[3]) } }))
  shortage.report(b, c[2], c[3], c[11], before)
  return O.APPLIED, seq
end

local function move_cursor(b, c)
  if c[3] <= (b.cursors[c[2]] or 0) then return O.SETTLED, b.seq end
  b.cursors[c[2]] = c[3]
  b.dirty_cursors[c[2]] = c[3]
  local seq = next_seq(b)
  log(b, pack({ E.CURSOR, seq, b.now, '', '', c[2], c[3] }))
  return O.APPLIED, seq
end

handlers[C.LEVEL], handlers[C.DELTA], handlers[C.CURSOR], handlers[C.STATUS] = level, delta, move_cursor, status
