-- Snapshots in parts: domain/rules/snapshots.py gives the reasons. Slots of a snapshot are Q, of a sweep V.

local snapshots = {}
do -- a block, because a chunk has at most 200 locals

function snapshots.find(b, source) return lookup(b, b.snapshots, 'snapshot', source) end

local function move(b, snapshot, source, state, counts, client, cause)
  local seq = next_seq(b)
  log(b, pack({ E.SNAPSHOTMOVED, seq, b.now, client, cause, source, snapshot, state, counts }))
  return seq
end

local function over(b, kind, cause, source, about, resolution, reason, client)
  exceptions.over(b, kind, cause, '', '', source, about, resolution or 'over', reason or '', client or '')
end

-- Whether a newer snapshot says what is left at all locations of an older one.
local function replaces(is_full, locations, sweep)
  local named = {}
  for _, location in ipairs(locations) do named[location] = true end
  for _, location in ipairs(sweep[V.LOCATIONS]) do
    if not named[location] then return false end
  end
  return is_full
end

local function figures(sweep)
  local told = {}
  for i = 1, math.min(#sweep[V.COUNTS], FIGURES_MAX) do
    local count = sweep[V.COUNTS][i]
    told[i] = string.format('%.0f of %.0f at %s', count[3], count[2], count[1])
  end
  return sweep[V.ID] .. ' would zero ' .. table.concat(told, ', ')
end

-- Digests of the parts of a source's last snapshot, read one by one.
local function parts_of(b, source)
  local memory = b.parts[source]
  if not memory then
    memory = { key = b.prefix .. 'parts:' .. source, items = {}, dirty = {}, cleared = false }
    b.parts[source] = memory
  end
  return memory
end

local function digest_of(b, source, part)
  local memory = parts_of(b, source)
  local known = memory.items[part]
  if not known then
    known = not memory.cleared and tonumber(call('HGET', memory.key, part) or 0) or 0
    memory.items[part] = known
  end
  return known
end

-- All sweeps there are: few, since each ends when its positions were gone through.
local function read_sweeps(b)
  local stored, order = call('HGETALL', b.prefix .. 'sweep'), {}
  for i = 1, #stored, 2 do
    if b.sweeps[stored[i]] == nil then b.sweeps[stored[i]] = unpack_one(stored[i + 1]) end
  end
  for name, sweep in pairs(b.sweeps) do
    if sweep then order[#order + 1] = tonumber(name) end
  end
  table.sort(order)
  return order
end

local function sweep_name(snapshot) return string.format('%.0f', snapshot) end

-- A sweep's new state: one that is over is forgotten.
local function move_sweep(b, snapshot, sweep, state, counts, client, cause)
  local name = sweep_name(snapshot)
  sweep[V.STATE], sweep[V.COUNTS] = state, counts
  if state == 'ended' or state == 'swept' then b.sweeps[name] = false end
  b.dirty_sweeps[name] = true
  return move(b, snapshot, sweep[V.SOURCE], state, counts, client, cause)
end

local function refuse(b, c)
  if c[7] > 0 and c[7] <= (b.cursors[c[6]] or 0) then return O.SETTLED end
  local measured = measure_of(b, c[2])
  if c[14] ~= '' and c[14] ~= measured then return O.MEASURE_MISMATCH, measured end
  local expected = expected_kind(b, c[2], c[4])
  if c[4] ~= expected then return O.VERSION_KIND_MISMATCH, expected end
end

local function is_newer(found, c, version)
  local known = found[Q.VERSION]
  if c[3] == found[Q.ID] then return version[1] > known[1] end
  if version_less(known, version) then return true end
  if version_less(version, known) then return false end
  for _, id in ipairs(found[Q.OVER]) do
    if id == c[3] then return false end
  end
  return true
end

local function contradiction(b, found, c, version)
  local known = found[Q.VERSION]
  if version_less(known, version) or version_less(version, known) or c[13] ~= found[Q.AS_OF] then
    return 'as_of'
  end
  if c[8] ~= found[Q.PARTS] then return 'parts' end
  if c[11] ~= found[Q.FULL] then return 'full' end
  if table.concat(c[12], '\0') ~= table.concat(found[Q.LOCATIONS], '\0') then return 'locations' end
  local digest = digest_of(b, c[2], c[9])
  return digest ~= 0 and math.abs(digest) ~= c[10] and 'lines' or nil
end

-- A newer snapshot ends the one that is not complete, and those that wait for a person and that it replaces.
local function begin(b, c, version, before)
  if before and before[Q.STATE] == 'open' then
    move(b, before[Q.SEQ], c[2], 'ended', {}, '', c[16])
    over(b, 'snapshot-incomplete', c[16], c[2], '')
  end
  for _, snapshot in ipairs(read_sweeps(b)) do
    local sweep = b.sweeps[sweep_name(snapshot)]
    if sweep[V.SOURCE] == c[2] and sweep[V.STATE] == 'parked' and replaces(c[11], c[12], sweep) then
      move_sweep(b, snapshot, sweep, 'ended', {}, '', c[16])
      over(b, 'snapshot-guard', c[16], c[2], sweep[V.ID])
    end
  end
  local earlier = {}
  if before and not version_less(before[Q.VERSION], version) then
    earlier = before[Q.OVER]
    earlier[#earlier + 1] = before[Q.ID]
    if #earlier > OVER_MAX then table.remove(earlier, 1) end
  end
  local seq, memory = next_seq(b), parts_of(b, c[2])
  memory.items, memory.dirty, memory.cleared = {}, {}, true
  log(b, pack({ E.BEGUN, seq, b.now, '', c[16], c[2], c[3], c[4], version, c[8], c[11], c[12], c[13] }))
  b.snapshots[c[2]] = { FORMAT, c[3], seq, c[4], version, c[8], c[11], c[12], c[13], b.now, 'open', false, 0, earlier }
  if b.overdue_at == 0 or b.now + INCOMPLETE_MS < b.overdue_at then
    b.overdue_at, b.overdue_changed = b.now + INCOMPLETE_MS, true
  end
  return b.snapshots[c[2]]
end

local function complete(b, c, found)
  found[Q.STATE] = 'complete'
  if found[Q.FULL] then
    local name = sweep_name(found[Q.SEQ])
    b.sweeps[name] = { FORMAT, c[2], found[Q.ID], found[Q.KIND], found[Q.VERSION], found[Q.LOCATIONS], found[Q.AS_OF],
      'counting', {} }
    b.dirty_sweeps[name] = true
  end
  move(b, found[Q.SEQ], c[2], 'complete', {}, '', c[16])
  over(b, 'snapshot-incomplete', c[16], c[2], '')
end

-- {PART, source, id, kind of version, version, stream, position, parts, part, digest, full, locations, as_of, measure,
-- taken, cause}
function snapshots.take_part(b, c)
  local refusal, detail = refuse(b, c)
  if refusal then return refusal, b.seq, nil, nil, detail end
  local found, source = snapshots.find(b, c[2]), lookup(b, b.sources, 'source', c[2])
  local version = { source and source[3] or 1, c[5][1], c[5][2] }
  if not found or is_newer(found, c, version) then
    source_record(b, c[2], c[4], c[16])
    found = begin(b, c, version, found)
  elseif found[Q.ID] ~= c[3] then
    return O.SNAPSHOT_OVER, b.seq, nil, nil, found[Q.ID]
  end
  local contradicted = contradiction(b, found, c, version)
  if contradicted then return O.CONTRADICTED, b.seq, nil, nil, contradicted end
  local known = digest_of(b, c[2], c[9])
  if known > 0 then return O.DUPLICATE, b.seq end
  if known ~= 0 and not c[15] then return O.REPLAYED, b.seq, nil, nil, nil, true end
  local memory, seq = parts_of(b, c[2]), next_seq(b)
  memory.items[c[9]] = c[15] and c[10] or -c[10]
  memory.dirty[c[9]] = true
  if c[15] then found[Q.ARRIVED] = found[Q.ARRIVED] + 1 end
  b.dirty_snapshots[c[2]] = true
  log(b, pack({ E.PARTSEEN, seq, b.now, '', c[16], c[2], found[Q.SEQ], c[9], c[10], c[15] }))
  if found[Q.ARRIVED] == found[Q.PARTS] then complete(b, c, found) end
  return O.APPLIED, seq
end

-- {ZERO, sku, location, source, kind of version, version with generation, as_of, cause}
local function zero(b, c)
  local p, source = find_position(b, c[2], c[3]), lookup(b, b.sources, 'source', c[4])
  if not (p and source and find_number(p, c[4])) then return O.NOT_FOUND, b.seq end
  if source[3] ~= c[6][1] then return O.STALE, b.seq end
  return handlers[C.LEVEL](b, { C.LEVEL, c[2], c[3], c[4], 0, c[5], { c[6][2], c[6][3] }, '', 0, c[7], '', c[8], {} })
end

local BEFORE = { counted = 'counting', accept = 'parked', discard = 'parked', swept = 'sweeping' }
local AFTER = { accept = 'sweeping', discard = 'ended', swept = 'swept' }

-- {SNAPSHOTDECIDE, seq of its BEGUN, step, {{location, non-zero positions, to be zeroed}, …}, client, cause, reason}
local function decide(b, c)
  local sweep = lookup(b, b.sweeps, 'sweep', sweep_name(c[2]))
  if not sweep then return O.NOT_FOUND, b.seq end
  if sweep[V.STATE] ~= BEFORE[c[3]] then return O.NOT_ACTIVE, b.seq, nil, nil, sweep[V.STATE] end
  local state, counts = AFTER[c[3]], {}
  if c[3] == 'counted' then
    local policy = b.policies.sources[sweep[V.SOURCE]]
    local percent = policy and policy.guard or GUARD_PERCENT
    for _, count in ipairs(c[4]) do
      if count[3] * 100 > percent * count[2] then counts[#counts + 1] = count end
    end
    state = #counts == 0 and 'sweeping' or 'parked'
    local last = snapshots.find(b, sweep[V.SOURCE])
    if #counts > 0 and last[Q.SEQ] ~= c[2] and replaces(last[Q.FULL], last[Q.LOCATIONS], sweep) then
      state, counts = 'ended', {}
    end
  end
  local seq = move_sweep(b, c[2], sweep, state, counts, c[5], c[6])
  if state == 'parked' then
    exceptions.raise(b, 'snapshot-guard', c[6], '', '', sweep[V.SOURCE], sweep[V.ID], figures(sweep))
  elseif c[3] == 'accept' or c[3] == 'discard' then
    over(b, 'snapshot-guard', c[6], sweep[V.SOURCE], sweep[V.ID], c[3], c[7], c[5])
  end
  return O.APPLIED, seq, nil, nil, state
end

-- Before the commands of a batch: snapshots that wait too long for a part. `overdue_at` is when to look next.
function snapshots.tell_overdue(b)
  if b.apart or b.overdue_at == 0 or b.now < b.overdue_at then return end
  local stored, order, nearest = call('HGETALL', b.prefix .. 'snapshot'), {}, 0
  for i = 1, #stored, 2 do
    b.snapshots[stored[i]] = unpack_one(stored[i + 1])
    order[#order + 1] = stored[i]
  end
  table.sort(order, bytes_less)
  for _, source in ipairs(order) do
    local found = b.snapshots[source]
    local at = found[Q.SINCE] + INCOMPLETE_MS
    if found[Q.STATE] == 'open' and not found[Q.OVERDUE] then
      if at <= b.now then
        found[Q.OVERDUE] = true
        b.dirty_snapshots[source] = true
        move(b, found[Q.SEQ], source, 'overdue', {}, '', '')
        local detail = string.format('%s: %d of %d parts', found[Q.ID], found[Q.ARRIVED], found[Q.PARTS])
        exceptions.raise(b, 'snapshot-incomplete', '', '', '', source, '', detail)
      elseif nearest == 0 or at < nearest then
        nearest = at
      end
    end
  end
  b.overdue_at, b.overdue_changed = nearest, true
end

function snapshots.write(b)
  write_fields(b.prefix .. 'snapshot', b.dirty_snapshots, function(source) return pack(b.snapshots[source]) end)
  for _, memory in pairs(b.parts) do
    if memory.cleared then call('UNLINK', memory.key) end
    write_fields(memory.key, memory.dirty, function(part) return string.format('%.0f', memory.items[part]) end)
  end
  write_fields(b.prefix .. 'sweep', b.dirty_sweeps, function(name) return b.sweeps[name] and pack(b.sweeps[name]) end)
  if b.overdue_changed then call('HSET', b.prefix .. 'meta', 'overdue_at', b.overdue_at) end
end

-- One page of the positions of a snapshot's locations that its source has a number of: where to go on, per location
-- how many are not zero, and those that the snapshot does not name: {sku, location, whether it is not zero}.
function snapshots.scan(b, cursor, limit, source, locations, version)
  local wanted, counts, unnamed = {}, {}, {}
  for _, location in ipairs(locations) do wanted[location] = 0 end
  local page = call('HSCAN', b.prefix .. 'pos', cursor, 'COUNT', limit)
  for i = 1, #page[2], 2 do
    local sku, location = string.match(page[2][i], '^(%Z+)%z(%Z+)$')
    local n = wanted[location] and find_number(unpack_one(page[2][i + 1]), source)
    if n then
      if n[N_NUMBER] ~= 0 then wanted[location] = wanted[location] + 1 end
      if not n[N_LEVEL] or version_less(n[N_VERSION], version) then
        unnamed[#unnamed + 1] = { sku, location, n[N_NUMBER] ~= 0 }
      end
    end
  end
  for location, count in pairs(wanted) do
    if count > 0 then counts[#counts + 1] = { location, count } end
  end
  return { page[1], counts, unnamed }
end

-- {sweeps there are: {snapshot, sweep, …}, …}, when the next incomplete one is to be told of or 0}
function snapshots.read_sweeps(b)
  local found = {}
  for i, snapshot in ipairs(read_sweeps(b)) do found[i] = { snapshot, b.sweeps[sweep_name(snapshot)] } end
  return { found, b.overdue_at }
end

handlers[C.PART], handlers[C.ZERO], handlers[C.SNAPSHOTDECIDE] = snapshots.take_part, zero, decide

end
