-- Events about orders: domain/rules/orders.py gives the reasons.

local function refuse(b, c)
  if stock.is_settled(b, c) then return O.SETTLED end
  for _, line in ipairs(c[12]) do
    if line[3] ~= '' and not b.policies.locations[line[3]] then return O.UNKNOWN_LOCATION, line[3] end
  end
  local expected = stock.other_kind(b, c)
  if expected then return O.VERSION_KIND_MISMATCH, expected end
end

local function records_of(b, c)
  if c[5] ~= '' then return naming.named(b, c[5]) end
  local r = find_by_id(b, c[3])
  return r and not r.tombstone and { { c[3], r } } or {}
end

-- Whether the event was told before, as far as anything of it is remembered.
local function is_repeat(b, c, records)
  if naming.knows_event(b, naming.name_of(c), c[11]) then return true end
  local buried = c[3] ~= '' and find_by_id(b, c[3])
  local changes = { buried and buried.tombstone and buried[T.CHANGES] or {} }
  for _, found in ipairs(records) do changes[#changes + 1] = found[2][R_CHANGES] end
  for _, known in ipairs(changes) do
    for _, one in ipairs(known) do
      if one[1] == c[11] then return true end
    end
  end
  return false
end

local function tell_order(b, c)
  local refusal, detail = refuse(b, c)
  if refusal then return refusal, b.seq, nil, nil, detail end
  local source = source_record(b, c[4], c[6], c[15])
  local version, records = { source[3], c[7][1], c[7][2] }, c[16] ~= 'stock' and records_of(b, c) or {}
  if is_repeat(b, c, records) then return O.DUPLICATE, b.seq end
  stock.seen(b, c, source)
  local t = telling.start(b, c, version, b.now, c[16] == 'order')
  local left, name, waits = telling.tell(b, t, records), naming.name_of(c), nil
  if c[16] == 'stock' then
    left = {} -- another partition has the order
    if naming.may_wait(b, name) then waits = naming.wait(b, c, left) end -- only so that it counts once
  end
  local found_none = #c[12] == 0 and not t.found_any and c[16] ~= 'stock'
  local done, held = telling.is_done(c, records)
  if found_none and done then return O.DUPLICATE, b.seq end
  local outcome, until_ = O.APPLIED, 0
  if #left > 0 or found_none then
    outcome = O.ORPHANED
    local comes = #records == 0 or (c[2] == 'acknowledged' and held)
    if c[5] ~= '' and comes and naming.may_wait(b, c[5]) then
      outcome, waits = O.AWAITED, naming.wait(b, c, left)
      until_ = waits[1]
    else
      naming.orphan(b, c, left)
    end
  end
  naming.remember_event(b, name, c[11])
  local seq = next_seq(b)
  log(b, pack({ E.TOLD, seq, b.now, '', c[15], c[2], c[3], c[4], c[5], version, c[8], c[9], c[10], c[11], c[13], left,
    until_, waits and { waits } }))
  return outcome, seq
end

-- A reservation that was just made or named takes, in the same step, what was told of its order before.
local function serve_waiting(b, id, outcome, seq, record, ...)
  local r = outcome == O.APPLIED and record and find_by_id(b, id)
  local ref = r and r[R_ORDER] or ''
  local waiting = naming.waiting(b, ref)
  if #waiting == 0 then return outcome, seq, record, ... end
  local kept = {}
  for _, item in ipairs(waiting) do
    local c = item[2]
    if c[16] == 'stock' then
      kept[#kept + 1] = item
    else
    local version = { source_record(b, c[4], c[6], c[15])[3], c[7][1], c[7][2] }
    local t = telling.start(b, c, version, item[1] - AWAIT_MS, true)
    local left = telling.tell(b, t, naming.named(b, ref))
    if #left > 0 or (#c[12] == 0 and not t.found_any) then
      local rest = { unpack(c, 1, 16) }
      rest[12] = left
      kept[#kept + 1] = { item[1], rest }
    end
    end
  end
  naming.keep_waiting(b, ref, kept)
  log(b, pack({ E.SERVED, next_seq(b), b.now, '', '', ref, kept }))
  return outcome, find_by_id(b, id)[R_SEQ], packed(b, id)
end

-- What the reservation ever committed at the level's position is included as of the version.
local function include_reservation(b, c, id, r, version)
  local news, m = false, moves.start(b, c[12])
  for _, line in ipairs(r[R_LINES]) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      local units = tallies.ever_committed(a)
      if line[L_SKU] == c[2] and a[A_LOCATION] == c[3] and units > 0 and a[A_SUPPLY] == '' then
        moves.watch(m, c[2], a)
        local by = inclusion.counting(b, c[2], a, c[4])
        news = tallies.name_all(tallies.of(a, by), units, by ~= '' and version or { 0, 0, 0 }) or news
      end
    end
  end
  if news then
    moves.settle(m)
    local seq = next_seq(b)
    local record, balances = keep(b, id, r, seq, units_of(r).held)
    log_reservation(b, E.ACKNOWLEDGED, seq, '', c[12], record, balances)
  end
end

-- A level is net of an order as of its own version, also when it is stale; inclusion only grows.
function stock.include_orders(b, c, version)
  for _, ref in ipairs(c[13]) do
    for _, found in ipairs(naming.named(b, ref)) do include_reservation(b, c, found[1], found[2], version) end
  end
end

-- The same of reservations by their ids; slots as of a level.
local function include_booked(b, c)
  local refusal, detail = stock.refuse(b, c, c[11])
  if refusal then return refusal, b.seq, nil, nil, detail end
  local version = { source_record(b, c[4], c[6], c[12])[3], c[7][1], c[7][2] }
  for _, id in ipairs(c[13]) do
    local r = find_by_id(b, id)
    if r and not r.tombstone then include_reservation(b, c, id, r, version) end
  end
  return O.APPLIED, b.seq
end

-- What of an event the batch must have read.
function stock.gather_order(c, want)
  want('sources', c[4])
  want('streams', c[8])
  if c[5] ~= '' then want('orders', c[5]) else want('ids', identity_of(c[3])) end
  for _, line in ipairs(c[12]) do
    want('skus', line[1])
    if line[3] ~= '' then want('positions', position_key(line[1], line[3])) end
  end
end

local function with_waiting(plain) return function(b, c) return serve_waiting(b, c[2], plain(b, c)) end end

handlers[C.TELL], handlers[C.INCLUDE] = tell_order, include_booked
handlers[C.RESERVE], handlers[C.CONFIRM] = with_waiting(handlers[C.RESERVE]), with_waiting(handlers[C.CONFIRM])
handlers[C.DECIDE] = function(b, c) return serve_waiting(b, c[4][2], legs.decide(b, c)) end
