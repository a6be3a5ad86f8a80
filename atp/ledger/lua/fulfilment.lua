-- Fulfil, acknowledge, transfer: domain/rules/fulfilment.py gives the reasons.

local function fulfil(b, c)
  local r, outcome = find_to_change(b, c[2], c[3], 'fulfilled', IN_PART)
  if outcome then return answer_found(b, c[2], r, outcome) end
  if c[5] > 0 then
    for _, known in ipairs(r[R_CHANGES]) do
      if known[1] == c[5] then return answer_found(b, c[2], r, O.REPLAYED) end
    end
  end
  local t = units_of(r)
  if #c[4] == 0 and t.committed == 0 then
    if t.fulfilled > 0 then return answer_found(b, c[2], r, O.REPLAYED) end
    return ended(b, c[2], r, t)
  end
  local minute, m = math.floor(b.now / SHIPPED_BUCKET_MS) * SHIPPED_BUCKET_MS, moves.start(b, c[7])
  m.ships = true
  local wanted, refusal, line_id = wanted_lines(r, c[4], 'committed')
  if refusal then return refusal, r[R_SEQ], packed(b, c[2]), nil, line_id end
  for _, want in ipairs(wanted) do
    local line, quantity = want[1], want[2]
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      local units = math.min(quantity, a[A_COMMITTED])
      if units > 0 then
        quantity = quantity - units
        moves.watch(m, line[L_SKU], a)
        a[A_COMMITTED] = a[A_COMMITTED] - units
        a[A_FULFILLED] = a[A_FULFILLED] + units
        shift_units(b, line, a, 0, -units)
        shipping.note_told(a, minute, units, b.foreign[line[L_SKU]] and units or 0)
      end
    end
  end
  moves.settle(m)
  if c[5] > 0 then remember_change(r, { c[5], 0 }) end
  return changed(b, c, r, t.held, E.FULFILLED, c[6], c[7])
end

local function acknowledge(b, c)
  local r, outcome = find_to_change(b, c[2], c[3])
  if outcome then return answer_found(b, c[2], r, outcome) end
  local t = units_of(r)
  if #c[4] == 0 and t.unacknowledged == 0 then
    if t.committed > 0 then return answer_found(b, c[2], r, O.REPLAYED) end
    return ended(b, c[2], r, t)
  end
  local wanted, refusal, line_id = wanted_lines(r, c[4], 'unacknowledged')
  if refusal then return refusal, r[R_SEQ], packed(b, c[2]), nil, line_id end
  local version
  if c[7] ~= '' then
    local expected = expected_kind(b, c[7], c[9])
    if c[9] ~= expected then return O.VERSION_KIND_MISMATCH, r[R_SEQ], packed(b, c[2]), nil, expected end
    version = { source_record(b, c[7], c[9], c[6])[3], c[8][1], c[8][2] }
  end
  local m = moves.start(b, c[6])
  for _, want in ipairs(wanted) do
    local quantity = want[2]
    for _, a in ipairs(want[1][L_ALLOCATIONS]) do
      local units = math.min(quantity, a[A_COMMITTED] - a[A_ACKNOWLEDGED])
      quantity = quantity - units
      moves.watch(m, want[1][L_SKU], a)
      inclusion.acknowledge_live(b, want[1][L_SKU], a, c[7], version, units)
    end
  end
  moves.settle(m)
  return changed(b, c, r, t.held, E.ACKNOWLEDGED, c[5], c[6])
end

-- Move units of one state between two allocations of a line; returns what is left to move.
local function move_units(b, m, line, a, there, state, quantity)
  local units = math.min(quantity, a[state])
  if units > 0 then
    local held, committed = state == A_HELD and units or 0, state == A_COMMITTED and units or 0
    if state == A_COMMITTED then
      moves.watch(m, line[L_SKU], a)
      tallies.leave(a, units)
    end
    a[state] = a[state] - units
    if state == A_COMMITTED then
      moves.commit(m, line[L_SKU], there, units)
    else
      there[state] = there[state] + units -- after the other: both may be the same allocation
    end
    shift_units(b, line, a, -held, -committed)
    shift_units(b, line, there, held, committed)
  end
  return quantity - units
end

local function transfer(b, c)
  local r, outcome = find_to_change(b, c[2], c[3])
  if outcome then return answer_found(b, c[2], r, outcome) end
  if not b.policies.locations[c[6]] then return O.UNKNOWN_LOCATION, r[R_SEQ], packed(b, c[2]), nil, c[6] end
  local index, line
  for i, candidate in ipairs(r[R_LINES]) do
    if candidate[L_ID] == c[4] and not line then index, line = i, candidate end
  end
  if not line then return O.UNKNOWN_LINE, r[R_SEQ], packed(b, c[2]), nil, c[4] end
  local here, live = {}, 0
  for _, a in ipairs(line[L_ALLOCATIONS]) do
    if a[A_LOCATION] == c[5] then
      here[#here + 1] = a
      live = live + a[A_HELD] + a[A_COMMITTED]
    end
  end
  if live < c[7] then return O.NOT_ACTIVE, r[R_SEQ], packed(b, c[2]), nil, c[4] end
  local s, left = new_sourcing(b, r[R_CHANNEL], r[R_CAMPAIGN], true), c[7] -- it is sold already
  for _, state in ipairs({ A_HELD, A_COMMITTED }) do
    for _, a in ipairs(here) do
      local units = math.min(left, a[state])
      give_back(s, line, a, units)
      left = left - units
    end
  end
  local asked = { c[4], line[L_SKU], c[7], c[6], '', '' }
  local available = free_units(s, asked, c[6])
  if available < c[7] then
    if b.due_left then return O.AGAIN, b.seq end
    local short = { shortfall(s, index, asked, available) }
    local tentative = legs.give_back_tentative(b, s, { line }) and free_units(s, asked, c[6]) >= c[7]
    return tentative and O.CONTENDED or O.INSUFFICIENT, r[R_SEQ], packed(b, c[2]), short
  end
  local there, quantity, m = allocation_at(line, c[6], ''), c[7], moves.start(b, c[9])
  for _, state in ipairs({ A_HELD, A_COMMITTED }) do
    for _, a in ipairs(here) do quantity = move_units(b, m, line, a, there, state, quantity) end
  end
  moves.settle(m)
  return changed(b, c, r, units_of(r).held, E.TRANSFERRED, c[8], c[9])
end

handlers[C.FULFIL], handlers[C.ACKNOWLEDGE], handlers[C.TRANSFER] = fulfil, acknowledge, transfer
