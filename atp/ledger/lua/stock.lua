-- Stock events: domain/rules/stock.py gives the reasons. Level and delta share the slots up to as_of.

local stock = {} -- what the other events of a source need
-- How a source orders its events: by its policy, else as it always did, else as it does now.
local function expected_kind(b, id, kind)
  local policy = b.policies.sources[id]
  if policy and policy.version ~= '' then return policy.version end
  local source = lookup(b, b.sources, 'source', id)
  return source and source[U.KIND] ~= '' and source[U.KIND] or kind
end

-- Whether an event's time is what it is compared by.
local function needs_time(b, c)
  if c[1] == C.LEVEL or c[1] == C.INCLUDE then
    return b.policies.locations[c[3]].adjusted and c[4] == authority_of(b, c[3])
  end
  return c[1] ~= C.STATUS and c[1] ~= C.INCOMING and counted_as(b, c[4], c[3]) ~= c[4]
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
  if c[10] == 0 and needs_time(b, c) then return O.TIME_REQUIRED, c[3] end
end

function stock.seen(b, c, source, n)
  if c[10] > 0 then
    if n then n[N_AS_OF] = math.max(n[N_AS_OF], c[10]) end
    source[U.LAG] = math.max(0, b.now - c[10])
  end
end

local function recent_key_of(b, c, source)
  return b.prefix .. 'recent:' .. c[2] .. '\0' .. c[3] .. '\0' .. source
end

-- The memory that a level or a change will look at.
function stock.recent_key(b, c)
  return recent_key_of(b, c, c[1] == C.LEVEL and c[4] or counted_as(b, c[4], c[3]))
end

-- Most levels meet no deltas, and one question tells so for a whole batch; `set` has the keys as its fields.
function stock.look_for_recent(b, keys, set)
  if #keys > 0 and #keys <= CHUNK and call('EXISTS', unpack(keys)) == 0 then b.unremembered = set end
end

-- The remembered deltas of a position and source: digest -> {version, quantity}. A delta asks for its own digest and
-- for how many there are; only a level, or a full memory, reads them all.
local function recent_of(b, c, source, key)
  key = key or recent_key_of(b, c, source)
  local recent = b.recent[key]
  if not recent then
    recent = { key = key, items = {}, whole = false, added = {}, removed = {} }
    recent.count = b.unremembered[key] and 0 or call('HLEN', key)
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

local function remember(recent, event, version, quantity, known)
  recent.items[event] = { version, quantity }
  recent.added[event] = struct.pack('>HI4I4i4', version[1], version[2], version[3], quantity)
  recent.removed[event] = nil
  recent.count = recent.count + (known and 0 or 1)
end

-- What is remembered of an event, {version, quantity}, or nil.
local function recall(recent, event)
  if not recent.items[event] and not recent.whole and recent.count > 0 and not recent.removed[event] then
    local stored = call('HGET', recent.key, event)
    if stored then recent.items[event] = unpack_delta(stored) end
  end
  return recent.items[event]
end

local function forget(recent, event)
  recent.items[event] = nil
  recent.added[event] = nil
  recent.removed[event] = true
  recent.count = recent.count - 1
end

-- Marks of a number; most have none.
local function mark(n, returned, uncertain, forgotten_at)
  local none = returned == 0 and not uncertain and forgotten_at == 0
  n[N_LEVEL_AT] = n[N_LEVEL_AT] or 0
  if none and n[N_MARKS] and not n[N_MARKS][1] then return end
  n[N_MARKS] = none and {} or { returned, uncertain and 1 or 0, forgotten_at }
end

local function marks_of(n)
  local marks = n[N_MARKS] or {}
  return marks[1] or 0, marks[2] == 1, marks[3] or 0
end

local function time_of(version) return version[2] * 2 ^ 32 + version[3] end

-- The version by which a change is remembered: its own, or in another source's number its time.
local function version_in(c, of, version)
  if of == c[4] then return version end
  return { BY_TIME, math.floor(c[10] / 2 ^ 32), c[10] % 2 ^ 32 }
end

-- Whether a change is not in a level. Near the level it counts as what leaves fewer units.
local function is_above(version, quantity, level, true_at)
  if version[1] ~= BY_TIME then return version_less(level, version) end
  return time_of(version) > (quantity < 0 and true_at - OVERLAP_MS or true_at)
end

local function is_inside(n, version, quantity)
  if not n or not n[N_LEVEL] then return false end
  local level_at = n[N_LEVEL_AT] or 0
  if version[1] == BY_TIME and level_at == 0 then return quantity > 0 end
  return not is_above(version, quantity, n[N_VERSION], level_at)
end

-- Whether a change is older than the memory: it cannot be told from a repeat.
local function is_late(n, version)
  if not n then return false end
  if version[1] ~= BY_TIME then return not version_less(n[N_FLOOR], version) end
  local _, _, forgotten_at = marks_of(n)
  return time_of(version) <= forgotten_at
end

-- The memory is full: the oldest by version go, and their highest version becomes the floor.
local function forget_oldest(recent, n)
  read_recent(recent)
  local events = {}
  for event, item in pairs(recent.items) do events[#events + 1] = { item[1], tonumber(event) or -1, event } end
  table.sort(events, function(x, y)
    if version_less(x[1], y[1]) then return true end
    if version_less(y[1], x[1]) then return false end
    return x[2] < y[2]
  end)
  local returned, uncertain, forgotten_at = marks_of(n)
  for i = 1, RECENT_CUT do
    local version = events[i][1]
    forget(recent, events[i][3])
    if version[1] == BY_TIME then
      forgotten_at = math.max(forgotten_at, time_of(version))
    elseif version_less(n[N_FLOOR], version) then
      n[N_FLOOR] = version
    end
  end
  mark(n, returned, uncertain, forgotten_at)
end

local function change_number(n, recent, event, version, quantity)
  n[N_NUMBER] = n[N_NUMBER] + quantity
  remember(recent, event, version, quantity)
  if recent.count > RECENT_MAX then forget_oldest(recent, n) end
end

-- Change the number by what is remembered of an event or a version, which that becomes more or less of.
local function amend(n, recent, event, version, quantity)
  local known = recall(recent, event)
  n[N_NUMBER] = n[N_NUMBER] + quantity
  remember(recent, event, version, quantity + (known and known[2] or 0), known)
  if recent.count > RECENT_MAX then forget_oldest(recent, n) end
end

-- Units of orders left as of a version, or fewer did; what was forgotten does not come back. Returns how many.
function stock.change_dated(b, sku, location, n, key, version, units)
  if units == 0 then return 0 end
  local recent = recent_of(b, { 0, sku, location }, n[N_SOURCE])
  local known = recall(recent, key)
  units = math.max(units, known and known[2] or 0)
  if units == 0 then return 0 end
  if known and known[2] == units then
    n[N_NUMBER] = n[N_NUMBER] - units
    forget(recent, key)
  else
    amend(n, recent, key, version, -units)
  end
  return units
end

-- What an event changed by itself before there was an order to account for it: fewer units, if it is remembered.
function stock.untell(b, c, sku, location, n, version, units)
  local recent, event = recent_of(b, { 0, sku, location }, c[4]), string.format('%.0f', c[11])
  if not recall(recent, event) then return false end
  amend(n, recent, event, version, units)
  return true
end

-- The authority's level shows every shipment that lies long enough before it.
local function count_shipped(p, as_of)
  if not p[P_SHIPPED][1] then return end
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
  local source = source_record(b, c[4], c[6], c[12])
  local version = { source[3], c[7][1], c[7][2] }
  local place = position_key(c[2], c[3])
  local p = lookup(b, b.positions, 'pos', place)
  local n = p and find_number(p, c[4])
  if n and n[N_LEVEL] and (version_less(version, n[N_VERSION])
      or (not version_less(n[N_VERSION], version) and c[9] <= n[N_TIE])) then
    stock.include_orders(b, c, version)
    if version_less(version, n[N_VERSION]) then sources.note_older(b, c[4], source, c[12]) end
    return O.STALE, b.seq
  end
  source[U.OLDER] = 0
  p = position_record(b, c[2], c[3], place)
  n = n or inclusion.number_record(p, c[4])
  local before = shortage.unpromised(b, c[2], c[3], p)
  local policy = b.policies.locations[c[3]]
  if not policy.listed and not b.policies.authorities[c[3]] then take_authority(b, c[3], c[4], c[12]) end
  local number, true_at = c[5], c[10] > 0 and c[10] or b.now
  local key = recent_key_of(b, c, c[4])
  if b.recent[key] or not b.unremembered[key] then
    local recent = recent_of(b, c, c[4], key)
    read_recent(recent)
    for event, item in pairs(recent.items) do
      if is_above(item[1], item[2], version, true_at) then number = number + item[2] else forget(recent, event) end
    end
  end
  local returned, uncertain, forgotten_at = marks_of(n)
  local cut, returns = version_less(version, n[N_FLOOR]) or forgotten_at > true_at - OVERLAP_MS, nil
  if cut then number = math.min(number, n[N_NUMBER]) else forgotten_at = 0 end
  n[N_LEVEL_AT] = policy.adjusted and c[10] or 0
  n[N_NUMBER], n[N_LEVEL], n[N_VERSION], n[N_TIE] = number, true, version, c[9]
  local touched = n[N_TOUCHED]
  if touched and not version_less(version, { touched[2], touched[3], touched[4] }) then n[N_TOUCHED] = nil end
  inclusion.include(n)
  stock.seen(b, c, source, n)
  if c[4] == authority_of(b, c[3]) then
    count_shipped(p, c[10])
    asides.level_knows(p, c[4], version, c[10])
    returns = on_fallback(b, p, c[3])
    if returns then returned = returns[Y.SINCE] end
  end
  mark(n, returned, cut, forgotten_at)
  local seq = next_seq(b)
  touch(b, c[2], seq)
  log(b, pack({ E.LEVEL, seq, b.now, '', c[12], c[2], c[3], c[4], c[5], number, version, c[8], c[9], c[10],
    { balance(b, c[2], c[3], p) }, cut or nil }))
  stock.include_orders(b, c, version)
  if returns then log(b, pack({ E.RETURNED, next_seq(b), b.now, '', c[12], c[2], c[3], c[4] })) end
  if cut then
    exceptions.raise(b, 'rebase-window', c[12], c[2], c[3], c[4], '', '')
  elseif uncertain then
    exceptions.over(b, 'rebase-window', c[12], c[2], c[3], c[4], '', 'over', '', '')
    exceptions.over(b, 'late-delta', c[12], c[2], c[3], c[4], '', 'over', '', '')
  end
  shortage.report(b, c[2], c[3], c[12], before, p)
  return O.APPLIED, seq
end

local function delta(b, c)
  local refusal, detail = stock.refuse(b, c, '')
  if refusal then return refusal, b.seq, nil, nil, detail end
  local source = source_record(b, c[4], c[6], c[12])
  local version = { source[3], c[7][1], c[7][2] }
  local p, of = find_position(b, c[2], c[3]), counted_as(b, c[4], c[3])
  local n, remembered = p and find_number(p, of), version_in(c, of, version)
  if is_inside(n, remembered, c[5]) then return O.INCLUDED, b.seq end
  local recent = recent_of(b, c, of)
  local event = string.format('%.0f', c[11])
  if is_recent(recent, event) then return O.DUPLICATE, b.seq end
  p = position_record(b, c[2], c[3])
  if is_late(n, remembered) then
    local returned, _, forgotten_at = marks_of(n)
    mark(n, returned, true, forgotten_at)
    exceptions.raise(b, 'late-delta', c[12], c[2], c[3], of, '', '')
    return O.LATE_DELTA, b.seq
  end
  n = inclusion.number_record(p, of)
  local before = shortage.unpromised(b, c[2], c[3])
  change_number(n, recent, event, remembered, c[5])
  stock.seen(b, c, source, n)
  local seq = next_seq(b)
  touch(b, c[2], seq)
  log(b, pack({ E.DELTA, seq, b.now, '', c[12], c[2], c[3], c[4], c[5], n[N_NUMBER], version, c[8], c[9], c[10],
    c[11], { balance(b, c[2], c[3]) }, stock.changed_of(b, c) }))
  shortage.report(b, c[2], c[3], c[12], before)
  return O.APPLIED, seq
end

-- The source whose number a change moves, for its entry: nil if it is the one that says so.
function stock.changed_of(b, c)
  local of = counted_as(b, c[4], c[3])
  return of ~= c[4] and of or nil
end

-- Change the number that the source's word moves, as by a delta, unless the level shows it already or may do; whether it
-- changed. Slots as of a delta.
function stock.change(b, c, source, version)
  local of = counted_as(b, c[4], c[3])
  local n, remembered = inclusion.number_record(position_record(b, c[2], c[3]), of), version_in(c, of, version)
  local recent, event = recent_of(b, c, of), string.format('%.0f', c[11])
  local changed = not is_inside(n, remembered, c[5]) and not is_late(n, remembered) and not is_recent(recent, event)
  if changed then change_number(n, recent, event, remembered, c[5]) end
  stock.seen(b, c, source, changed and n)
  return n, changed
end

function stock.is_recent(b, c) return is_recent(recent_of(b, c, counted_as(b, c[4], c[3])), string.format('%.0f', c[11])) end

-- What a source says cannot be sold: slots as of a level, but no measure; a chain of versions of its own.
local function status(b, c)
  local refusal, detail = stock.refuse(b, c, '')
  if refusal then return refusal, b.seq, nil, nil, detail end
  local source = source_record(b, c[4], c[6], c[11])
  local version = { source[3], c[7][1], c[7][2] }
  local p = find_position(b, c[2], c[3])
  local n = p and find_number(p, c[4])
  local last = n and n[N_STATUS]
  if last and last[1] and (version_less(version, last) or (not version_less(last, version) and c[9] <= last[4])) then
    return O.STALE, b.seq
  end
  p = position_record(b, c[2], c[3])
  n = inclusion.number_record(p, c[4])
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
