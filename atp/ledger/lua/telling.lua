-- Telling: one event about an order on its way through the order's reservations, and through the stock;
-- domain/rules/telling.py gives the reasons. `t` is the event under way: its command c, its version, the minute it was
-- told first, whether only its order part is left to do, what it moves, units that no allocation accounts for by place,
-- and what it changed so far.

local telling = {}

local each, is_mine, from_pools = picking.each, picking.is_mine, picking.from_pools

function telling.start(b, c, version, began, again)
  return { c = c, version = version, again = again, found_any = false, others = {}, by_place = {}, changed = {},
    known = {}, moves = moves.start(b, c[15], c), minute = math.floor(began / SHIPPED_BUCKET_MS) * SHIPPED_BUCKET_MS }
end

local function change(t, found)
  t.found_any = true
  if not t.known[found[1]] then
    t.known[found[1]] = true
    t.changed[#t.changed + 1] = found
  end
end

-- Units at a position that no allocation accounts for.
local function other(b, t, sku, location, units)
  if units == 0 or b.foreign[sku] then return end
  local place = position_key(sku, location)
  local known = t.by_place[place]
  if not known then
    known = { sku, location, 0 }
    t.by_place[place] = known
    t.others[#t.others + 1] = known
  end
  known[3] = known[3] + units
end

-- Where units happened to be that the order does not have; nil if nobody can tell, or it was told before.
local function place_of_others(t, records, line)
  if t.again then return nil end
  if line[3] ~= '' then return line[3] end
  local found
  each(records, line[1], function(_, _, a) found = found or a[A_LOCATION] end)
  return found
end

-- Whether the same shipment was told of before: by the authority, if it is now, else by others.
local function is_told(b, t, found)
  local mine = 0
  each({ found }, nil, function(_, _, a)
    if is_mine(b, t, a[A_LOCATION]) then mine = 1 end
  end)
  for _, known in ipairs(found[2][R_CHANGES]) do
    if known[1] == t.c[13] and known[2] == mine then return true end
  end
  return false
end

-- Take units out of a state.
local function leave(b, t, found, line, a, state, units)
  moves.watch(t.moves, line[L_SKU], a)
  a[state] = a[state] - units
  shift_units(b, line, a, state == A_HELD and -units or 0, state == A_COMMITTED and -units or 0)
  if state == A_HELD then count_held(b, found[2], line[L_SKU], -units) end
end

-- Units of the line that the same shipment brought before: they have no effect again.
local function counted_before(b, t, records, line)
  local known = 0
  for _, found in ipairs(records) do
    if is_told(b, t, found) then
      each({ found }, line[1], function(_, _, a) known = known + a[A_FULFILLED] end)
    end
  end
  return math.min(line[2], known)
end

local function tell_number(b, t, sku, location, quantity, n)
  local c, seq = t.c, next_seq(b)
  touch(b, sku, seq)
  log(b, pack({ E.DELTA, seq, b.now, '', c[15], sku, location, c[4], quantity, n[N_NUMBER], t.version, c[8], c[9], c[10],
    c[11], { balance(b, sku, location) } }))
end

-- What counted by the event itself before there was an order counts with its allocations now.
local function untell(b, t, sku, location, units, line)
  if not t.again or line[3] == '' then return end
  if not is_mine(b, t, location) then return moves.ship(t.moves, sku, location, t.minute, -units) end
  local n = inclusion.number_record(position_record(b, sku, location), t.c[4])
  if stock.untell(b, t.c, sku, location, n, t.version, units) then tell_number(b, t, sku, location, units, n) end
end

local function tally_shipped(t, a, units)
  local tally = tallies.of(a, t.c[4])
  tally[4] = tallies.add(tally[4], units, t.version)
end

-- The authority's number shows from here on what others told of.
local function end_told_units(t, sku, a, most)
  if not a[A_TOLD] or not a[A_TOLD][1] or most == 0 then return 0 end
  moves.watch(t.moves, sku, a)
  local units = 0
  for _, ended in ipairs(shipping.end_told(a, most)) do
    units = units + ended[2]
    moves.ship(t.moves, sku, a[A_LOCATION], ended[1], -ended[3])
  end
  tally_shipped(t, a, units)
  return units
end

-- Units of which others told before, now by the authority, or the other way round: they are the same.
local function told_before(b, t, records, line, rest)
  local taken, sku = 0, line[1]
  if b.foreign[sku] then return 0 end
  each(records, sku, function(found, _, a)
    if line[3] ~= '' and line[3] ~= a[A_LOCATION] then return end
    local units
    if is_mine(b, t, a[A_LOCATION]) then
      units = end_told_units(t, sku, a, rest - taken)
    else
      units = math.min(a[A_AHEAD] or 0, rest - taken)
      if units > 0 then a[A_AHEAD] = a[A_AHEAD] - units end
    end
    if units > 0 then
      taken = taken + units
      change(t, found)
      untell(b, t, sku, a[A_LOCATION], units, line)
    end
  end)
  return taken
end

-- Whether what happened to the stock is told to its own partition.
local function is_elsewhere(t, line) return t.c[16] == 'order' and line[3] ~= '' end

local function ship_units(b, t, line, found, drawn, a, state, units)
  local sku, place = line[1], line[3] ~= '' and line[3] or a[A_LOCATION]
  leave(b, t, found, drawn, a, state, units)
  a[A_FULFILLED] = a[A_FULFILLED] + units
  change(t, found)
  if a[A_LOCATION] ~= place then
    exceptions.raise(b, 'shipped-elsewhere', t.c[15], sku, place, t.c[4], found[1], a[A_LOCATION])
  elseif b.foreign[sku] then
    -- A leg elsewhere ships what others tell of; its own partition has heard of the rest.
    if line[3] == '' then shipping.note_told(a, t.minute, units, units) end
  elseif not is_mine(b, t, place) then
    shipping.note_told(a, t.minute, units, 0)
    untell(b, t, sku, place, units, line)
  elseif not is_elsewhere(t, line) then
    tally_shipped(t, a, units)
    a[A_AHEAD] = a[A_AHEAD] + units
    untell(b, t, sku, place, units, line)
  end
end

local function ship_line(b, t, records, line)
  local rest, c, elsewhere = line[2], t.c, 0
  if #c[12] > 0 and c[13] > 0 then rest = rest - counted_before(b, t, records, line) end
  local place = place_of_others(t, records, line)
  rest = rest - told_before(b, t, records, line, rest)
  rest = from_pools(records, line, rest, function(found, drawn, a, state, units, near)
    if not near then elsewhere = elsewhere + units end
    ship_units(b, t, line, found, drawn, a, state, units)
  end)
  if place then other(b, t, line[1], place, rest + elsewhere) end
  return rest
end

-- The authority's own number falls, unless its level shows it; others' word waits for that level.
local function count_others(b, t)
  local c, others = t.c, t.others
  t.others, t.by_place = {}, {}
  for _, found in ipairs(others) do
    local sku, location, units = found[1], found[2], found[3]
    if not is_mine(b, t, location) then
      moves.ship(t.moves, sku, location, t.minute, units)
    else
      local told = { C.DELTA, sku, location, c[4], -units, c[6], c[7], c[8], c[9], c[10], c[11] }
      local n, changed = stock.change(b, told, b.sources[c[4]], t.version)
      if changed then tell_number(b, t, sku, location, -units, n) end
    end
  end
end

-- What was not found stays subtracted, unless the authority's level knows of it already.
local function miss(b, t, sku, location, units)
  if units == 0 or b.foreign[sku] then return end
  local n = find_number(position_record(b, sku, location), t.c[4])
  local known = n and n[N_LEVEL] and not version_less(n[N_VERSION], t.version)
  if not (known and is_mine(b, t, location)) then
    moves.miss(t.moves, sku, location, t.c[4], t.version, units)
  end
end

local function release_told(b, t, found, drawn, a, state, units, line)
  local sku, short, location = drawn[L_SKU], line[4], line[3]
  leave(b, t, found, drawn, a, state, units)
  a[A_RELEASED] = a[A_RELEASED] + units
  if state == A_COMMITTED or short then tallies.leave(a, units) end
  count_sold(b, found[2], sku, -units)
  change(t, found)
  if not short or (location ~= '' and location ~= a[A_LOCATION]) or is_elsewhere(t, line) then return end
  if a[A_SUPPLY] ~= '' and location == '' then return end -- nobody looks on a shelf for what is still to come
  if is_mine(b, t, a[A_LOCATION]) and not b.foreign[sku] then
    local tally = tallies.of(a, t.c[4])
    tally[5] = tallies.add(tally[5], units, t.version)
    if t.again and location ~= '' then miss(b, t, sku, a[A_LOCATION], -units) end
  elseif not (t.again and location ~= '') then
    miss(b, t, sku, a[A_LOCATION], units)
  end
end

local function cancel_line(b, t, records, line)
  local place, elsewhere = place_of_others(t, records, line), 0
  local rest = from_pools(records, line, line[2], function(found, drawn, a, state, units, near)
    if not near then elsewhere = elsewhere + units end
    release_told(b, t, found, drawn, a, state, units, line)
  end)
  if line[4] and place then miss(b, t, line[1], place, rest + elsewhere) end
  return rest
end

-- Of more than there is, the lowest versions count: so the rest is kept, too, if it does not wait.
local function acknowledge_line(b, t, records, line)
  local rest, first = line[2], nil
  local function count(found, drawn, a, units)
    moves.watch(t.moves, drawn[L_SKU], a)
    inclusion.acknowledge(b, drawn[L_SKU], a, t.c[4], t.version, units)
    change(t, found)
  end
  each(records, line[1], function(found, drawn, a)
    if line[3] ~= '' and line[3] ~= a[A_LOCATION] then return end
    first = first or { found, drawn, a }
    local units = math.min(rest, inclusion.may_acknowledge(b, drawn[L_SKU], a, t.c[4]))
    if units > 0 then
      rest = rest - units
      count(found, drawn, a, units)
    end
  end)
  local held = false
  each(records, nil, function(_, _, a) held = held or a[A_HELD] > 0 end)
  if rest > 0 and first and not held then count(first[1], first[2], first[3], rest) end
  return rest
end

local function has_change(r, key)
  for _, known in ipairs(r[R_CHANGES]) do
    if known[1] == key then return true end
  end
  return false
end

-- Remember the event in the records that it changed, and log them; `reason` is why units were released.
local function finish(b, t, reason)
  moves.settle(t.moves)
  local c, tag = t.c, E.FULFILLED
  if reason then tag = E.RELEASED elseif c[2] == 'acknowledged' then tag = E.ACKNOWLEDGED end
  for _, found in ipairs(t.changed) do
    local id, r, held, mine = found[1], found[2], 0, 0
    if not has_change(r, c[11]) then remember_change(r, { c[11], 0 }) end
    each({ found }, nil, function(_, _, a)
      held = held + a[A_HELD]
      if is_mine(b, t, a[A_LOCATION]) then mine = 1 end
    end)
    if c[13] > 0 and not reason then remember_change(r, { c[13], mine }) end
    local seq = next_seq(b)
    local record, balances = keep(b, id, r, seq, held)
    log_reservation(b, tag, seq, '', c[15], record, balances, reason)
  end
  t.changed, t.known = {}, {}
end

-- What the order still has at the locations of a complete shipment was not found there.
local function release_rest(b, t, records)
  local places, anywhere = {}, #t.c[12] == 0
  for _, line in ipairs(t.c[12]) do
    places[line[3]] = true
    anywhere = anywhere or line[3] == ''
  end
  each(records, nil, function(found, drawn, a)
    if anywhere or places[a[A_LOCATION]] then
      for _, state in ipairs({ A_COMMITTED, A_HELD }) do
        if a[state] > 0 then
          release_told(b, t, found, drawn, a, state, a[state], { drawn[L_SKU], a[state], '', true })
        end
      end
    end
  end)
  finish(b, t, 'short')
end

-- Take the units; returns the lines with what of them no reservation had.
function telling.tell(b, t, records)
  local c, left = t.c, {}
  local lines = #c[12] > 0 and c[12] or picking.all_lines(b, t, records)
  local before = picking.look_before(b, t, records, lines)
  local function each_line(take, wanted)
    for _, line in ipairs(lines) do
      if not wanted or wanted(line) then
        local units = take(b, t, records, line)
        if units > 0 then left[#left + 1] = { line[1], units, line[3], line[4] } end
      end
    end
  end
  if c[2] == 'acknowledged' then
    each_line(acknowledge_line)
    finish(b, t)
  elseif c[2] == 'fulfilled' then
    each_line(ship_line)
    count_others(b, t)
    finish(b, t)
    if c[14] then release_rest(b, t, records) end
  else
    for _, short in ipairs({ false, true }) do
      each_line(cancel_line, function(line) return line[4] == short end)
      finish(b, t, short and 'short' or 'customer')
    end
  end
  for _, place in ipairs(before) do shortage.report(b, place[1], place[2], c[15], place[3]) end
  return left
end

-- Whether the order, told of as a whole, is what the event says already; and whether units of it are held.
function telling.is_done(c, records)
  local slot, done, held = A_FULFILLED, false, false
  if c[2] == 'cancelled' then slot = A_RELEASED elseif c[2] == 'acknowledged' then slot = A_ACKNOWLEDGED end
  each(records, nil, function(_, _, a)
    done = done or a[slot] > 0
    held = held or a[A_HELD] > 0
  end)
  return done, held
end
