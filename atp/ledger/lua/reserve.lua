-- Reserve: domain/rules/reserve.py gives the reasons.

local function remember_refusal(b, c, shortfalls)
  remember_answer(b, identity_of(c[2]), { c[3], O.INSUFFICIENT, shortfalls, '' })
end

-- The hold to release in the same step, nothing if it has ended, or an outcome and what it is about.
local function find_replaced(b, c)
  local old = c[16] ~= '' and find_by_id(b, c[16])
  if old and old.tombstone then old = nil end
  if old and (old[R_CLIENT] ~= c[4] or old[R_CUSTOMER] ~= c[6]) then return nil, O.NOT_FOUND, 'replaces' end
  for index, line in ipairs(c[11]) do
    if line[4] ~= '' and not b.policies.locations[line[4]] then
      return nil, O.UNKNOWN_LOCATION, tostring(index - 1)
    end
    if line[5] ~= '' and not find_group(b.policies, c[5], line[5]) then
      return nil, O.UNKNOWN_LOCATION, tostring(index - 1)
    end
  end
  if not old then return end
  local t = units_of(old)
  if t.committed + t.fulfilled > 0 then return nil, O.NOT_ACTIVE, 'replaces' end
  if t.held == 0 then return end
  if b.due_left and old[R_EXPIRES] + GRACE_MS <= b.now then return nil, O.AGAIN end
  return old
end

local function release_replaced(b, old, c)
  end_held(b, old, A_RELEASED)
  local seq = next_seq(b)
  local record, balances = keep(b, c[16], old, seq, 0)
  log_reservation(b, E.RELEASED, seq, c[4], c[12], record, balances, 'replaced')
end

local function new_record(b, c, drawn, ttl, old, seq)
  local lines = {}
  for index, line in ipairs(c[11]) do
    local allocations = {}
    for i, draw in ipairs(drawn[index]) do allocations[i] = { draw[1], draw[3] or '', draw[2], 0, 0, 0, 0, 0 } end
    lines[index] = { line[1], line[2], line[3], allocations, line[6] ~= '' and line[6] or nil }
  end
  return { FORMAT, b.now, b.now + ttl, seq, seq, c[3], c[4], c[5], c[6], c[7], c[8], c[9], lines, {},
    old and old[R_SINCE] or b.now, string.sub(c[2], 1, 3) }
end

local function hold(b, c, drawn, ttl, old)
  local seq = next_seq(b)
  local r, held = new_record(b, c, drawn, ttl, old, seq), 0
  for _, line in ipairs(r[R_LINES]) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      shift_units(b, line, a, a[A_HELD], 0)
      count_sold(b, r, line[L_SKU], a[A_HELD])
      held = held + a[A_HELD]
    end
  end
  count_held(b, r, c[11][1][2], held) -- its lines all live here
  local record, balances = keep(b, c[2], r, seq, held)
  naming.name(b, c[2], c[7])
  use_ticket(b, c[8], c[17])
  log_reservation(b, E.HELD, seq, c[4], c[12], record, balances, c[17])
  return O.APPLIED, seq, record
end

-- The first decision on this identity, as a result, if there was one: a reservation, or a remembered refusal.
local function find_decision(b, c)
  rotate_refusals(b)
  local identity = identity_of(c[2])
  local known = find_reservation(b, identity)
  if known and known.tombstone then
    if known[T.FINGERPRINT] ~= c[3] or not find_by_id(b, c[2]) then return O.KEY_REUSED, b.seq end
    return O.REPLAYED, known[T.SEQ], nil, nil, nil, true
  elseif known then
    if known[R_FINGERPRINT] ~= c[3] or not find_by_id(b, c[2]) then return O.KEY_REUSED, b.seq end
    return O.REPLAYED, known[R_SEQ], packed(b, c[2]), nil, nil, true
  end
  local refusal = find_refusal(b, identity)
  if refusal then
    if refusal[1] ~= c[3] then return O.KEY_REUSED, b.seq end
    return refusal[2], b.seq, nil, refusal[3], refusal[4], true
  end
end

local function reserve(b, c)
  if not c[15] then
    local outcome, seq, record, shortfalls, detail, replayed = find_decision(b, c)
    if outcome then return outcome, seq, record, shortfalls, detail, replayed end
  end
  if exceptions.is_lost(b) then return O.RECOVERING, b.seq end
  local old, outcome, detail = find_replaced(b, c)
  if outcome then return outcome, b.seq, nil, nil, detail end
  outcome, detail = refuse_seller(b, c)
  if outcome then return outcome, b.seq, nil, nil, detail end
  local ttl = hold_ttl(b, c)
  outcome, detail = refuse_ttl(b, c, ttl, old)
  if not outcome then outcome, detail = refuse_units(b, c, old) end
  if outcome then return outcome, b.seq, nil, nil, detail end
  local s = new_sourcing(b, c[5], c[8])
  if old then give_back_held(s, old) end
  local drawn = draw_quickly(s, c[11])
  if not drawn then
    local shortfalls, any = shortfalls_of(s, c[11], c[14]), false
    if #shortfalls > 0 and b.due_left then return O.AGAIN, b.seq end
    if #shortfalls == 0 or c[13] then drawn, any = draw_lines(s, c[11], c[14]) end
    if not any then
      if legs.contended(b, s, c) then return O.CONTENDED, b.seq, nil, shortfalls end
      if not c[15] then remember_refusal(b, c, shortfalls) end
      return O.INSUFFICIENT, b.seq, nil, shortfalls
    end
  end
  if c[15] then return O.QUOTED, b.seq, pack_record(c[2], new_record(b, c, drawn, ttl, old, b.seq)) end
  if old then release_replaced(b, old, c) end
  return hold(b, c, drawn, ttl, old)
end

handlers[C.RESERVE] = reserve

handlers[C.RECALL] = function(b, c)
  local outcome, seq, record, shortfalls, detail, replayed = find_decision(b, c)
  if outcome then return outcome, seq, record, shortfalls, detail, replayed end
  return O.NOT_FOUND, b.seq
end
