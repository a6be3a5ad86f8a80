-- Telling: one event about an order on its way through the order's reservations, and through the stock;
-- domain/rules/telling.py gives the reasons. `t` is the event under way: its command c, its version, the
-- minute it was told first, whether only its order part is left to do, and what it changed so far.

local telling = {}

local POOLS = { { A_COMMITTED, true }, { A_HELD, true }, { A_COMMITTED, false }, { A_HELD, false } }

function telling.start(b, c, version, began, again)
  return { c = c, version = version, again = again, found_any = false, effects = {}, by_place = {}, changed = {},
    known = {}, told = {}, minute = math.floor(began / SHIPPED_BUCKET_MS) * SHIPPED_BUCKET_MS }
end

-- Calls visit(id, record, line, allocation) for every allocation of the order's reservations, of one sku if it is named.
-- They are sorted by sku once: an event of many lines is about an order of many.
local function each(records, sku, visit)
  if not records.by_sku then
    records.by_sku, records.all = {}, {}
    for _, found in ipairs(records) do
      for _, line in ipairs(found[2][R_LINES]) do
        local known = records.by_sku[line[L_SKU]] or {}
        records.by_sku[line[L_SKU]] = known
        for _, a in ipairs(line[L_ALLOCATIONS]) do
          known[#known + 1] = { found, line, a }
          records.all[#records.all + 1] = known[#known]
        end
      end
    end
  end
  for _, one in ipairs(sku and (records.by_sku[sku] or {}) or records.all) do visit(one[1], one[2], one[3]) end
end

-- Whether the number that sells there is the teller's own.
local function is_mine(b, t, location) return t.c[4] == authority_of(b, location) end

local function change(t, found)
  t.found_any = true
  if not t.known[found[1]] then
    t.known[found[1]] = true
    t.changed[#t.changed + 1] = found
  end
end

local function effect(t, sku, location, units, shown)
  local place = position_key(sku, location)
  local known = t.by_place[place]
  if not known then
    known = { sku, location, 0, 0 }
    t.by_place[place] = known
    t.effects[#t.effects + 1] = known
  end
  known[3], known[4] = known[3] + units, known[4] + shown
end

local function take_effects(t)
  local effects = t.effects
  t.effects, t.by_place = {}, {}
  return effects
end

-- 1 if the authority told of the shipment before, 0 if others did, nil if nobody.
local function shipment_of(t, r)
  local told
  for _, known in ipairs(r[R_CHANGES]) do
    if t.c[13] > 0 and known[1] == t.c[13] then told = math.max(told or 0, known[2]) end
  end
  return told
end

-- Everything that the event may speak of, as lines without a location.
local function all_lines(b, t, records)
  local what, known, committed, order, found = t.c[2], false, false, {}, {}
  for _, record in ipairs(records) do known = known or (what == 'fulfilled' and shipment_of(t, record[2]) ~= nil) end
  each(records, nil, function(_, _, a) committed = committed or a[A_COMMITTED] > 0 end)
  each(records, nil, function(_, line, a)
    local units = 0
    if what == 'acknowledged' then
      units = a[A_COMMITTED] - a[A_ACKNOWLEDGED]
    elseif what == 'cancelled' then
      units = a[A_COMMITTED] + a[A_HELD]
    else
      if not known then units = a[committed and A_COMMITTED or A_HELD] end
      if is_mine(b, t, a[A_LOCATION]) then units = units + told_units(a) end
    end
    local sku = line[L_SKU]
    if not found[sku] then order[#order + 1] = sku end
    found[sku] = (found[sku] or 0) + units
  end)
  local lines = {}
  for _, sku in ipairs(order) do
    if found[sku] > 0 then lines[#lines + 1] = { sku, found[sku], '', false } end
  end
  return lines
end

-- What was unpromised at the positions whose stock the event may change: {sku, location, units}.
local function look_before(b, t, records, lines)
  local places, known = {}, {}
  local function add(sku, location)
    local place = position_key(sku, location)
    if known[place] or b.foreign[sku] then return end
    known[place] = true
    places[#places + 1] = { sku, location }
  end
  for _, line in ipairs(lines) do
    if t.c[2] == 'fulfilled' or line[4] then
      if line[3] ~= '' and not t.again then
        add(line[1], line[3])
      elseif line[3] == '' then
        each(records, line[1], function(_, _, a) add(line[1], a[A_LOCATION]) end)
      end
    end
  end
  for _, place in ipairs(places) do place[3] = shortage.unpromised(b, place[1], place[2]) end
  return places
end

-- Take units out of a state; returns how many of them the number that sells there was net of.
local function leave(b, found, line, a, state, units)
  local shown = state == A_COMMITTED and uncount(b, line[L_SKU], a, units) or 0
  a[state] = a[state] - units
  a[A_ACKNOWLEDGED] = math.min(a[A_ACKNOWLEDGED], a[A_COMMITTED])
  shift_units(b, line, a, state == A_HELD and -units or 0, state == A_COMMITTED and -units or 0)
  if state == A_HELD then count_held(b, found[2], line[L_SKU], -units) end
  return shown
end

-- Take units of a line from the pools in their order; returns what no reservation had.
local function from_pools(records, line, rest, take)
  for _, pool in ipairs(POOLS) do
    local state, near = pool[1], pool[2]
    each(records, line[1], function(found, drawn, a)
      local units = math.min(rest, a[state])
      if units > 0 and near == (line[3] == '' or line[3] == a[A_LOCATION]) then
        rest = rest - units
        take(found, drawn, a, state, units)
      end
    end)
  end
  return rest
end

-- Units of the line that the same shipment brought before, whoever told of it: they have no effect again.
local function counted_before(b, t, records, line)
  local known, mine = 0, line[3] ~= '' and is_mine(b, t, line[3])
  each(records, line[1], function(found, _, a)
    local told = t.told[found[1]]
    if told == nil then
      told = shipment_of(t, found[2]) or false
      t.told[found[1]] = told
    end
    if told == 1 or (told == 0 and not mine) then known = known + a[A_FULFILLED] end
  end)
  return math.min(line[2], known)
end

-- Units that others told of, and that the authority tells of now: its number shows them from here on.
local function told_before(b, t, records, line, rest)
  local taken = 0
  each(records, line[1], function(found, drawn, a)
    if b.foreign[drawn[L_SKU]] or (line[3] ~= '' and line[3] ~= a[A_LOCATION]) or not is_mine(b, t, a[A_LOCATION]) then
      return
    end
    local units, uncounted = end_told(b, t.c, line[1], a, rest - taken)
    if units > 0 then
      taken = taken + units
      change(t, found)
      effect(t, line[1], a[A_LOCATION], line[3] ~= '' and 0 or units, units - uncounted)
    end
  end)
  return taken
end

local function ship_line(b, t, records, line)
  local rest, c, sku = line[2], t.c, line[1]
  if #c[12] > 0 and c[13] > 0 then rest = rest - counted_before(b, t, records, line) end
  if line[3] ~= '' and not t.again then effect(t, sku, line[3], rest, 0) end
  rest = rest - told_before(b, t, records, line, rest)
  return from_pools(records, line, rest, function(found, drawn, a, state, units)
    local place = line[3] ~= '' and line[3] or a[A_LOCATION]
    local shown = leave(b, found, drawn, a, state, units)
    a[A_FULFILLED] = a[A_FULFILLED] + units
    change(t, found)
    if a[A_LOCATION] ~= place then
      exceptions.raise(b, 'shipped-elsewhere', c[15], sku, place, c[4], found[1], a[A_LOCATION])
    else
      effect(t, sku, place, 0, shown)
      -- A leg elsewhere ships what others tell of; of a named location its own partition has heard.
      local noted = not is_mine(b, t, place)
      if b.foreign[sku] then noted = line[3] == '' end
      if noted then note_told(a, t.minute, units, units - shown) end
    end
    if line[3] == '' then effect(t, sku, place, units, 0) end
  end)
end

-- The authority's own number falls, unless its level shows it; others' word waits for that level.
local function count_shipped_units(b, t)
  local c = t.c
  for _, found in ipairs(take_effects(t)) do
    local sku, location, units = found[1], found[2], found[3] - found[4]
    if units > 0 and not b.foreign[sku] then
      if not is_mine(b, t, location) then
        log_shipment(b, c, sku, location, t.minute, units)
      else
        local told = { C.DELTA, sku, location, c[4], -units, c[6], c[7], c[8], c[9], c[10], c[11] }
        local n, changed = stock.change(b, told, b.sources[c[4]], t.version)
        if changed then
          local seq = next_seq(b)
          touch(b, sku, seq)
          log(b, pack({ E.DELTA, seq, b.now, '', c[15], sku, location, c[4], -units, n[N_NUMBER], t.version, c[8], c[9],
            c[10], c[11], { balance(b, sku, location) } }))
        end
      end
    end
  end
end

local function release_told(b, t, found, drawn, a, state, units, short, location)
  local shown = leave(b, found, drawn, a, state, units)
  a[A_RELEASED] = a[A_RELEASED] + units
  count_sold(b, found[2], drawn[L_SKU], -units)
  change(t, found)
  if short and (location == '' or location == a[A_LOCATION]) then
    -- Nobody looks on a shelf for what is still to come.
    effect(t, drawn[L_SKU], a[A_LOCATION], (location ~= '' or a[A_SUPPLY] ~= '') and 0 or units, shown)
  end
end

local function cancel_line(b, t, records, line)
  if line[4] and line[3] ~= '' and not t.again then effect(t, line[1], line[3], line[2], 0) end
  return from_pools(records, line, line[2], function(found, drawn, a, state, units)
    release_told(b, t, found, drawn, a, state, units, line[4], line[3])
  end)
end

-- What was not found stays subtracted, unless the authority's level knows of it already.
local function count_short(b, t)
  local c = t.c
  for _, found in ipairs(take_effects(t)) do
    local sku, location, units = found[1], found[2], found[3] - found[4]
    if units > 0 and not b.foreign[sku] then
      local p = find_position(b, sku, location)
      local n = p and find_number(p, c[4])
      local known = n and n[N_LEVEL] and not version_less(n[N_VERSION], t.version)
      if not (known and is_mine(b, t, location)) then
        asides.add(b, sku, location, c[4], units, t.version, c[11], c[15])
      end
    end
  end
end

local function acknowledge_line(b, t, records, line)
  local rest = line[2]
  each(records, line[1], function(found, drawn, a)
    local units = math.min(rest, a[A_COMMITTED] - a[A_ACKNOWLEDGED])
    if units > 0 and (line[3] == '' or line[3] == a[A_LOCATION]) then
      rest = rest - units
      a[A_ACKNOWLEDGED] = a[A_ACKNOWLEDGED] + units
      count_units(b, drawn[L_SKU], a, t.c[4], t.version, units)
      change(t, found)
    end
  end)
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
        if a[state] > 0 then release_told(b, t, found, drawn, a, state, a[state], true, '') end
      end
    end
  end)
  count_short(b, t)
  finish(b, t, 'short')
end

-- Take the units; returns the lines with what of them no reservation had.
function telling.tell(b, t, records)
  local c, left = t.c, {}
  local lines = #c[12] > 0 and c[12] or all_lines(b, t, records)
  local before = look_before(b, t, records, lines)
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
    count_shipped_units(b, t)
    finish(b, t)
    if c[14] then release_rest(b, t, records) end
  else
    for _, short in ipairs({ false, true }) do
      each_line(cancel_line, function(line) return line[4] == short end)
      count_short(b, t)
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
