-- Confirm, release, extend and the deadline: domain/rules/lifecycle.py gives the reasons.

local function settle(b, due)
  for _, id in ipairs(due) do
    local r = find_by_id(b, id)
    if r and not r.tombstone then
      end_held(b, r, A_EXPIRED)
      local seq = next_seq(b)
      local record, balances = keep(b, id, r, seq, 0)
      log_reservation(b, E.EXPIRED, seq, r[R_CLIENT], '', record, balances)
    else
      b.due[id] = false
    end
  end
end

-- What a tombstone answers to a change that has nothing left to do in the states `repeated_in` and `or_in`.
local function answer_of_tombstone(tombstone, change, repeated_in, or_in)
  for _, known in ipairs(tombstone[T.CHANGES]) do
    if known[1] == change[1] then return known[2] == change[2] and O.REPLAYED or O.KEY_REUSED end
  end
  local state = tombstone[T.STATE]
  if state == repeated_in or state == or_in then return O.REPLAYED end
  return (state == 'expired' or state == IN_PART) and O.EXPIRED or O.NOT_ACTIVE
end

-- The record to change, or an outcome: unknown, repeated, reused key, ended long ago, or due and not yet settled.
local function find_to_change(b, id, change, repeated_in, or_in)
  local r = find_by_id(b, id)
  if not r then return nil, O.NOT_FOUND end
  if r.tombstone then return r, answer_of_tombstone(r, change, repeated_in, or_in) end
  for _, known in ipairs(r[R_CHANGES]) do
    if known[1] == change[1] then return r, known[2] == change[2] and O.REPLAYED or O.KEY_REUSED end
  end
  -- Settled holds have no held units: what is still held and due was beyond this batch's bound.
  if b.due_left and r[R_EXPIRES] + GRACE_MS <= b.now and units_of(r).held > 0 then return r, O.AGAIN end
  return r
end

-- "shortage" when held units were taken for one.
local function why_ended(changes)
  for _, change in ipairs(changes) do
    if change[1] == shortage.REVOKED then return 'shortage' end
  end
end

local function answer_found(b, id, r, outcome)
  if r and r.tombstone then
    local why = outcome == O.NOT_ACTIVE and why_ended(r[T.CHANGES]) or nil
    return outcome, r[T.SEQ], nil, nil, why, outcome == O.REPLAYED
  end
  if outcome == O.REPLAYED then return O.REPLAYED, r[R_SEQ], packed(b, id), nil, nil, true end
  return outcome, b.seq
end

-- Nothing left to act on, and why.
local function ended(b, id, r, t)
  local live = t.held + t.committed + t.fulfilled
  if live == 0 and t.expired > 0 then return O.EXPIRED, r[R_SEQ], packed(b, id) end
  return O.NOT_ACTIVE, r[R_SEQ], packed(b, id), nil, why_ended(r[R_CHANGES])
end

local function units_in(t, of)
  if of == 'all' then return t.held + t.committed end
  return t[of]
end

-- {line, quantity} pairs to act on, everything when no lines are named; or an outcome and the line it is about.
local function wanted_lines(r, lines, of)
  local pairs_ = {}
  if #lines == 0 then
    for i, line in ipairs(r[R_LINES]) do pairs_[i] = { line, units_in(add_units(line, no_units()), of) } end
    return pairs_
  end
  local by_id, order, quantities = {}, {}, {}
  for _, line in ipairs(r[R_LINES]) do by_id[line[L_ID]] = line end
  for _, named in ipairs(lines) do
    if not by_id[named[1]] then return nil, O.UNKNOWN_LINE, named[1] end
    if not quantities[named[1]] then order[#order + 1] = named[1] end
    quantities[named[1]] = (quantities[named[1]] or 0) + named[2]
  end
  for i, line_id in ipairs(order) do
    local t = add_units(by_id[line_id], no_units())
    if units_in(t, of) < quantities[line_id] then
      return nil, t.expired > 0 and O.EXPIRED or O.NOT_ACTIVE, line_id
    end
    pairs_[i] = { by_id[line_id], quantities[line_id] }
  end
  return pairs_
end

local function remember_change(r, change)
  local changes = r[R_CHANGES]
  changes[#changes + 1] = change
  if #changes > CHANGES_MAX then table.remove(changes, 1) end
end

-- What every change ends with: remembered under its key, kept, and logged with the balances it left.
local function changed(b, c, r, held, tag, client, cause, reason)
  remember_change(r, c[3])
  local seq = next_seq(b)
  local record, balances = keep(b, c[2], r, seq, held)
  log_reservation(b, tag, seq, client, cause, record, balances, reason)
  return O.APPLIED, seq, record
end

-- Turn held units of the wanted lines into committed ones; returns how many.
local function commit_held(b, r, wanted, cause)
  local moved, m = 0, moves.start(b, cause)
  for _, want in ipairs(wanted) do
    local line, quantity = want[1], want[2]
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      local units = math.min(quantity, a[A_HELD])
      if units > 0 then
        quantity, moved = quantity - units, moved + units
        a[A_HELD] = a[A_HELD] - units
        moves.commit(m, line[L_SKU], a, units)
        shift_units(b, line, a, -units, units)
        count_held(b, r, line[L_SKU], -units)
      end
    end
  end
  moves.settle(m)
  return moved
end

local function committed(b, c, r, held)
  if c[4] ~= '' and c[4] ~= r[R_ORDER] then
    naming.unname(b, c[2], r[R_ORDER])
    r[R_ORDER] = c[4]
  end
  naming.name(b, c[2], r[R_ORDER])
  return changed(b, c, r, held, E.COMMITTED, c[6], c[7])
end

-- Where expired units could be taken again, at their own location first: {line, allocation, draws}, and what is short.
local function draw_expired(s, r)
  local drawn, short = {}, {}
  for index, line in ipairs(r[R_LINES]) do
    local needed, available = 0, 0
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      if a[A_EXPIRED] > 0 then
        local asked = { line[L_ID], line[L_SKU], a[A_EXPIRED], '', '', line[L_NEEDED] or '' }
        local allowed = sells_at(s.b.policies, r[R_CHANNEL], a[A_LOCATION], '') -- not any more, perhaps
        local units = allowed and math.min(a[A_EXPIRED], free_units(s, asked, a[A_LOCATION])) or 0
        local draws = take(s, asked, a[A_LOCATION], units, {})
        fill(s, asked, a[A_EXPIRED] - units, draws)
        drawn[#drawn + 1] = { line, a, draws }
        needed = needed + a[A_EXPIRED]
        for _, draw in ipairs(draws) do available = available + draw[2] end
      end
    end
    if available < needed then
      short[#short + 1] = shortfall(s, index, { line[L_ID], line[L_SKU], needed, '', '', line[L_NEEDED] or '' }, available)
    end
  end
  return drawn, short
end

local function reacquire(b, c, r, t)
  if exceptions.is_lost(b) then return O.RECOVERING, r[R_SEQ] end
  local campaign = counts_to_campaign(b, r, r[R_CAMPAIGN]) and b.policies.campaigns[r[R_CAMPAIGN]]
  if campaign then
    local refusal, limit = refuse_expired(b, r, campaign.per_customer)
    if refusal == O.AGAIN then return refusal, b.seq end
    if refusal then return refusal, r[R_SEQ], pack_record(c[2], r), nil, limit end
  end
  -- After its campaign, though another one may have its name, a late payment is served from the channel's own share.
  local s = new_sourcing(b, r[R_CHANNEL], campaign and r[R_CAMPAIGN] or '')
  local drawn, short = draw_expired(s, r)
  if #short > 0 then
    if b.due_left then return O.AGAIN, b.seq end
    local tentative = legs.give_back_tentative(b, s, r[R_LINES]) and #select(2, draw_expired(s, r)) == 0
    return tentative and O.CONTENDED or O.INSUFFICIENT, r[R_SEQ], pack_record(c[2], r), short
  end
  commit_held(b, r, (wanted_lines(r, {}, 'held')), c[7])
  local m = moves.start(b, c[7])
  for _, found in ipairs(drawn) do
    local line, a = found[1], found[2]
    for _, draw in ipairs(found[3]) do
      a[A_EXPIRED] = a[A_EXPIRED] - draw[2]
      local there = allocation_at(line, draw[1], draw[3] or '')
      moves.commit(m, line[L_SKU], there, draw[2])
      shift_units(b, line, there, 0, draw[2])
      count_sold(b, r, line[L_SKU], draw[2])
    end
  end
  moves.settle(m)
  return committed(b, c, r, 0)
end

-- What a tombstone, or nothing, answers; or the record that the journal kept is brought back, if it is the last.
local function confirm_again(b, c, known, outcome)
  local r, there = c[9][1], find_reservation(b, identity_of(c[2]))
  local last = r and r[1] == c[2] and ((outcome == O.EXPIRED and there[T.SEQ] == r[R_SEQ])
    or (outcome == O.NOT_FOUND and not there))
  if not c[8] or not last then return answer_found(b, c[2], known, outcome) end
  local t = units_of(r)
  if t.held + t.committed > 0 or t.expired == 0 then return answer_found(b, c[2], known, outcome) end
  r[1], r[R_BUCKET] = FORMAT, string.sub(c[2], 1, 3)
  for _, change in ipairs(r[R_CHANGES]) do
    if change[1] == c[3][1] then
      if change[2] ~= c[3][2] then return O.KEY_REUSED, b.seq end
      return O.REPLAYED, r[R_SEQ], pack_record(c[2], r), nil, nil, true
    end
  end
  return reacquire(b, c, r, t)
end

local function confirm(b, c)
  local r, outcome = find_to_change(b, c[2], c[3], 'fulfilled')
  if outcome then
    if #c[9] > 0 then return confirm_again(b, c, r, outcome) end
    return answer_found(b, c[2], r, outcome)
  end
  local t = units_of(r)
  if c[8] and t.expired > 0 and not legs.spans(b, r) then return reacquire(b, c, r, t) end
  if #c[5] == 0 and t.held == 0 then
    if t.expired > 0 then return O.EXPIRED, r[R_SEQ], packed(b, c[2]) end
    if t.committed + t.fulfilled > 0 then return answer_found(b, c[2], r, O.REPLAYED) end
    return ended(b, c[2], r, t)
  end
  local wanted, refusal, line_id = wanted_lines(r, c[5], 'held')
  if refusal then return refusal, r[R_SEQ], packed(b, c[2]), nil, line_id end
  return committed(b, c, r, t.held - commit_held(b, r, wanted, c[7]))
end

-- Release units of one state over the line's locations; returns what is left to release.
local function release_units(b, m, r, line, quantity, state)
  for _, a in ipairs(line[L_ALLOCATIONS]) do
    local units = math.min(quantity, a[state])
    if units > 0 then
      quantity = quantity - units
      if state == A_COMMITTED then
        moves.watch(m, line[L_SKU], a)
        tallies.leave(a, units)
      end
      a[state] = a[state] - units
      a[A_RELEASED] = a[A_RELEASED] + units
      shift_units(b, line, a, state == A_HELD and -units or 0, state == A_COMMITTED and -units or 0)
      count_held(b, r, line[L_SKU], state == A_HELD and -units or 0)
      count_sold(b, r, line[L_SKU], -units)
    end
  end
  return quantity
end

local function release(b, c)
  local r, outcome = find_to_change(b, c[2], c[3], 'released')
  if outcome then return answer_found(b, c[2], r, outcome) end
  local t = units_of(r)
  local of = c[4]
  if of == '' then of = t.held > 0 and 'held' or 'committed' end
  if #c[5] == 0 and units_in(t, of) == 0 then
    if t.held + t.committed + t.fulfilled + t.expired == 0 then return answer_found(b, c[2], r, O.REPLAYED) end
    return ended(b, c[2], r, t)
  end
  local wanted, refusal, line_id = wanted_lines(r, c[5], of)
  if refusal then return refusal, r[R_SEQ], packed(b, c[2]), nil, line_id end
  local left, m = t.held, moves.start(b, c[8])
  for _, want in ipairs(wanted) do
    local quantity = want[2]
    if of ~= 'committed' then -- of both, what nobody paid for goes first
      quantity = release_units(b, m, r, want[1], quantity, A_HELD)
      left = left - (want[2] - quantity)
    end
    if of ~= 'held' then release_units(b, m, r, want[1], quantity, A_COMMITTED) end
  end
  moves.settle(m)
  return changed(b, c, r, left, E.RELEASED, c[7], c[8], c[6])
end

local function extend(b, c)
  local r, outcome = find_to_change(b, c[2], c[3])
  if outcome then return answer_found(b, c[2], r, outcome) end
  local t = units_of(r)
  if t.held == 0 then return ended(b, c[2], r, t) end
  local expires = math.max(r[R_EXPIRES], b.now + c[4])
  if expires > r[R_SINCE] + channel_of(b.policies, r[R_CHANNEL]).max_hold_ms then
    return O.LIMIT_EXCEEDED, r[R_SEQ], packed(b, c[2]), nil, 'ttl'
  end
  r[R_EXPIRES] = expires
  remember_change(r, c[3])
  local seq = next_seq(b)
  local record = keep(b, c[2], r, seq, t.held)
  log_reservation(b, E.EXTENDED, seq, c[5], c[6], record)
  return O.APPLIED, seq, record
end

handlers[C.CONFIRM], handlers[C.RELEASE], handlers[C.EXTEND] = confirm, release, extend
