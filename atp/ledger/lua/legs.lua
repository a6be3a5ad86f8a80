-- Baskets that span partitions: domain/rules/legs.py gives the reasons.

local LEG = { ATTEMPT = 2, SEQ = 3, DEADLINE = 4, LINES = 5, FIRST = 6, CLIENT = 7, CHANNEL = 8, CUSTOMER = 9,
  CAMPAIGN = 10 }
local BASKET = { ID = 2, ATTEMPT = 3, CALL = 4, FINGERPRINT = 5, DEADLINE = 6, FOREIGN = 7 }

-- What the batch must have read: for commands at home the record and the refusal of the identity, else the positions.
function legs.gather(c, want)
  local tag = c[1]
  if tag == C.OPEN or tag == C.DECIDE then
    local r = tag == C.OPEN and c[5] or c[4]
    want('ids', identity_of(r[2]))
    want('refused', identity_of(r[2]))
    if r[16] ~= '' then want('ids', identity_of(r[16])) end
  elseif tag == C.ABORT then
    want('ids', identity_of(c[2]))
    want('refused', identity_of(c[2]))
  elseif tag == C.TAKE then
    if c[4][16] ~= '' then want('ids', identity_of(c[4][16])) end
    for _, line in ipairs(c[4][11]) do
      want('skus', line[2])
      if line[4] ~= '' then want('positions', position_key(line[2], line[4])) end
    end
  end
end

local function find_basket(b, identity)
  local known = b.baskets[identity]
  if known == nil then known = legs.mark_foreign(b, lookup(b, b.baskets, 'baskets', identity)) end
  return known
end

local function find_leg(b, id)
  b.legs = b.legs or {}
  return lookup(b, b.legs, 'legs', id)
end

local function set_leg(b, id, leg)
  b.legs[id] = leg
  b.dirty_legs = b.dirty_legs or {}
  b.dirty_legs[id] = true
end

local function set_undecided(b, id, deadline)
  b.undecided = b.undecided or {}
  b.undecided[id] = deadline
end

-- Nobody need ask about the id when it has neither an undecided leg nor an undecided basket here.
local function tidy(b, id)
  local leg, basket = find_leg(b, id), find_basket(b, identity_of(id))
  if leg and leg[LEG.SEQ] == 0 then return end
  if basket and basket[BASKET.ID] == id and basket[BASKET.DEADLINE] > 0 then return end
  set_undecided(b, id, false)
end

-- Keep true when anybody may ask about the id: after the deadline of its undecided leg, else of its basket.
function legs.schedule(b, id)
  local leg, basket, deadline = find_leg(b, id), find_basket(b, identity_of(id)), false
  if basket and basket[BASKET.ID] == id and basket[BASKET.DEADLINE] > 0 then deadline = basket[BASKET.DEADLINE] end
  if leg and leg[LEG.SEQ] == 0 then deadline = leg[LEG.DEADLINE] end
  set_undecided(b, id, deadline)
end

-- A position, and the days that an allocation hangs on there.
local function place_of(line, a)
  local place = position_key(line[L_SKU], a[A_LOCATION])
  return a[A_SUPPLY] == '' and place or place .. '\0' .. a[A_SUPPLY] .. '\0' .. line[L_NEEDED]
end

-- Units held, committed and fulfilled by place: place -> {sku, location, units of each, supply, needed by, units shipped
-- without being counted}, and the places in order.
local function by_place(lines)
  local found, order = {}, {}
  for _, line in ipairs(lines) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      local place = place_of(line, a)
      if not found[place] then
        found[place] = { line[L_SKU], a[A_LOCATION], 0, 0, 0, a[A_SUPPLY], line[L_NEEDED], 0 }
        order[#order + 1] = place
      end
      local units = found[place]
      units[3], units[4] = units[3] + a[A_HELD], units[4] + a[A_COMMITTED]
      units[5] = units[5] + a[A_FULFILLED]
      for i = 3, #(a[A_TOLD] or {}), 3 do units[8] = units[8] + a[A_TOLD][i] end
    end
  end
  return found, order
end

-- A leg as what counts units takes it, and as the coordinator reads it: a reservation.
local function reservation_of(leg)
  return { FORMAT, 0, leg[LEG.DEADLINE], leg[LEG.ATTEMPT], leg[LEG.FIRST], 0, leg[LEG.CLIENT], leg[LEG.CHANNEL],
    leg[LEG.CUSTOMER], '', leg[LEG.CAMPAIGN], '', leg[LEG.LINES], {}, 0 }
end

-- Count the units of an undecided leg as tentative, or no longer: by position, and by seller and sku.
local function contend(b, leg, sign)
  b.dirty_contended = b.dirty_contended or {}
  local seller = legs.BY_SELLER .. seller_name(leg[LEG.CHANNEL], leg[LEG.CAMPAIGN])
  local function add(place, units)
    local known = legs.contended_at(b, place)
    b.contended[place], b.dirty_contended[place] = known + sign * units, true
  end
  for _, units in pairs((by_place(leg[LEG.LINES]))) do
    add(position_key(units[1], units[2]), units[3])
    add(position_key(seller, units[1]), units[3])
  end
  if sign > 0 then b.some_contended = true end
end

-- Move positions, and the counters of the reservation's seller and customer, from some units to others.
local function move_all(b, r, before, after)
  local was, order = by_place(before)
  local is, more = by_place(after)
  for _, place in ipairs(more) do order[#order + 1] = place end
  local done, live = {}, false
  for _, place in ipairs(order) do
    if not done[place] then
      done[place] = true
      local old, new = was[place] or { nil, nil, 0, 0, 0 }, is[place] or { nil, nil, 0, 0, 0 }
      local known = old[1] and old or new
      local sku, location = known[1], known[2]
      local held, committed, fulfilled = new[3] - old[3], new[4] - old[4], new[5] - old[5]
      shift_units(b, { '', sku, 0, {}, known[7] }, { location, known[6] }, held, committed)
      local shipped = (new[8] or 0) - (old[8] or 0)
      if shipped > 0 and not b.foreign[sku] then
        shipping.ship(b, sku, location, math.floor(b.now / SHIPPED_BUCKET_MS) * SHIPPED_BUCKET_MS, shipped)
      end
      count_held(b, r, sku, held)
      count_sold(b, r, sku, held + committed + fulfilled)
      live = live or new[3] + new[4] > 0
    end
  end
  return live
end

-- A leg that just changed, as its entry tells it; `drew` are the lines it had before.
local function log_leg(b, tag, seq, id, leg, client, cause, drew)
  local lines = {}
  for _, line in ipairs(leg[LEG.LINES]) do lines[#lines + 1] = line end
  for _, line in ipairs(drew or {}) do lines[#lines + 1] = line end
  log(b, pack({ tag, seq, b.now, client, cause, { id, unpack(leg, 2, 10) }, balances_of(b, lines, seq) }))
end

-- Free an undecided leg.
local function drop(b, id, leg)
  contend(b, leg, -1)
  set_leg(b, id, false)
  tidy(b, id)
  move_all(b, reservation_of(leg), leg[LEG.LINES], {})
  log_leg(b, E.LEGDROPPED, next_seq(b), id, leg, '', '')
end

-- End an attempt; its own leg here, at home, goes with it.
local function abort_basket(b, basket)
  local id, attempt = basket[BASKET.ID], basket[BASKET.ATTEMPT]
  legs.set_basket(b, identity_of(id), false)
  tidy(b, id)
  log(b, pack({ E.BASKETABORTED, next_seq(b), b.now, '', '', id, attempt }))
  local leg = find_leg(b, id)
  if leg and leg[LEG.ATTEMPT] == attempt and leg[LEG.SEQ] == 0 then drop(b, id, leg) end
end

function legs.open(b, c)
  local r = c[5]
  local identity = identity_of(r[2])
  local outcome, seq, record, shortfalls, detail, replayed = find_decision(b, r)
  if outcome then return outcome, seq, record, shortfalls, detail, replayed end
  local known = find_basket(b, identity)
  if known and known[BASKET.DEADLINE] > b.now then
    if known[BASKET.ID] ~= r[2] or known[BASKET.FINGERPRINT] ~= r[3] then return O.KEY_REUSED, b.seq end
    return known[BASKET.CALL] == c[2] and O.APPLIED or O.CONTENDED, known[BASKET.ATTEMPT]
  end
  if exceptions.is_lost(b) then return O.RECOVERING, b.seq end
  local old
  old, outcome, detail = find_replaced(b, r)
  if outcome then return outcome, b.seq, nil, nil, detail end
  outcome, detail = refuse_seller(b, r)
  if not outcome then outcome, detail = refuse_ttl(b, r, hold_ttl(b, r), old) end
  if not outcome then outcome, detail = refuse_units(b, r, old) end
  if outcome then return outcome, b.seq, nil, nil, detail end
  if known then abort_basket(b, known) end
  local late = find_leg(b, r[2])
  if late and late[LEG.SEQ] == 0 then drop(b, r[2], late) end
  local attempt, deadline = next_seq(b), b.now + c[3]
  local basket = { FORMAT, r[2], attempt, c[2], r[3], deadline, c[4] }
  legs.set_basket(b, identity, legs.mark_foreign(b, basket))
  set_undecided(b, r[2], deadline)
  log(b, pack({ E.BASKETOPENED, attempt, b.now, r[4], r[12], r[2], r[3], deadline, c[4], c[2] }))
  return O.APPLIED, attempt
end

-- What the basket replaces has here, at home a record and elsewhere a leg.
local function ends_here(b, r)
  if r[16] == '' then return end
  local record, leg = find_by_id(b, r[16]), find_leg(b, r[16])
  local found = record and not record.tombstone and record or leg and reservation_of(leg)
  return found and found[R_CLIENT] == r[4] and found[R_CUSTOMER] == r[6] and found or nil
end

function legs.take(b, c)
  local r = c[4]
  local id, leg = r[2], find_leg(b, r[2])
  if leg then
    if leg[LEG.ATTEMPT] == c[2] then return O.APPLIED, b.seq, pack_record(id, reservation_of(leg)) end
    if leg[LEG.SEQ] > 0 or leg[LEG.ATTEMPT] > c[2] then return O.NOT_ACTIVE, b.seq end
  end
  if exceptions.is_lost(b) then return O.RECOVERING, b.seq end
  local older = leg and reservation_of(leg)
  local outcome, detail = refuse_units(b, r, older, ends_here(b, r))
  if outcome then return outcome, b.seq, nil, nil, detail end
  local s = new_sourcing(b, r[5], r[8])
  if older then give_back_held(s, older) end
  local drawn = draw_quickly(s, r[11])
  if not drawn then
    local shortfalls, any = shortfalls_of(s, r[11], r[14]), false
    if b.due_left and #shortfalls > 0 then return O.AGAIN, b.seq end
    if #shortfalls == 0 or r[13] then drawn, any = draw_lines(s, r[11], r[14]) end
    if not any then
      local tentative = legs.contended(b, new_sourcing(b, r[5], r[8]), r)
      return tentative and O.CONTENDED or O.INSUFFICIENT, b.seq, nil, shortfalls
    end
  end
  if leg then drop(b, id, leg) end
  local seq, lines = next_seq(b), new_record(b, r, drawn, 0, nil, 0)[R_LINES]
  leg = { FORMAT, c[2], 0, b.now + c[3], lines, seq, r[4], r[5], r[6], r[8] }
  set_leg(b, id, leg)
  set_undecided(b, id, leg[LEG.DEADLINE])
  contend(b, leg, 1)
  move_all(b, reservation_of(leg), {}, lines)
  log_leg(b, E.LEGTAKEN, seq, id, leg, r[4], r[12])
  return O.APPLIED, b.seq, pack_record(id, reservation_of(leg))
end

-- Do the granted lines of this partition have the units that its own leg holds?
local function stands(b, lines, leg)
  local found = by_place(leg and leg[LEG.LINES] or {})
  for _, line in ipairs(lines) do
    for _, a in ipairs(b.foreign[line[L_SKU]] and {} or line[L_ALLOCATIONS]) do
      local units = found[place_of(line, a)] or { 0, 0, 0, 0, 0 }
      for i, slot in ipairs({ A_HELD, A_COMMITTED, A_FULFILLED }) do units[i + 2] = units[i + 2] - a[slot] end
      found[place_of(line, a)] = units
    end
  end
  for _, units in pairs(found) do
    if units[3] ~= 0 or units[4] ~= 0 or units[5] ~= 0 then return false end
  end
  return true
end

function legs.decide(b, c)
  local r = c[4]
  local id, identity = r[2], identity_of(r[2])
  local outcome, seq, record, shortfalls, detail, replayed = find_decision(b, r)
  if outcome then return outcome, seq, record, shortfalls, detail, replayed end
  local basket = find_basket(b, identity)
  if not basket or basket[BASKET.ID] ~= id or basket[BASKET.ATTEMPT] ~= c[2] then
    return O.NOT_ACTIVE, b.seq, nil, nil, 'attempt'
  end
  local leg = find_leg(b, id)
  if leg and (leg[LEG.ATTEMPT] ~= c[2] or leg[LEG.SEQ] > 0) then leg = nil end
  if not stands(b, c[3], leg) then return O.NOT_ACTIVE, b.seq, nil, nil, 'leg' end
  local old
  old, outcome, detail = find_replaced(b, r)
  if outcome then return outcome, b.seq, nil, nil, detail end
  if r[8] ~= '' and not b.policies.campaigns[r[8]] then return O.UNKNOWN_CAMPAIGN, b.seq, nil, nil, r[8] end
  local ttl = hold_ttl(b, r)
  outcome, detail = refuse_ttl(b, r, ttl, old)
  if outcome then return outcome, b.seq, nil, nil, detail end
  if old then release_replaced(b, old, r) end
  if leg then
    contend(b, leg, -1)
    move_all(b, reservation_of(leg), leg[LEG.LINES], {})
    set_leg(b, id, false)
  end
  local decided = { unpack(basket) }
  decided[BASKET.DEADLINE] = 0
  legs.set_basket(b, identity, decided)
  tidy(b, id)
  seq = next_seq(b)
  local none = {}
  for i = 1, #r[11] do none[i] = {} end
  local whole = new_record(b, r, none, ttl, old, seq)
  whole[R_LINES] = c[3]
  move_all(b, whole, {}, c[3])
  local balances
  record, balances = keep(b, id, whole, seq, 1)
  naming.name(b, id, r[7])
  use_ticket(b, r[8], r[17])
  log_reservation(b, E.HELD, seq, r[4], r[12], record, balances, r[17])
  return O.APPLIED, seq, record
end

function legs.abort(b, c)
  local identity = identity_of(c[2])
  local basket = find_basket(b, identity)
  if basket and basket[BASKET.ID] == c[2] and basket[BASKET.ATTEMPT] == c[4] and basket[BASKET.DEADLINE] > 0 then
    abort_basket(b, basket)
    if #c[5] > 0 then
      rotate_refusals(b)
      remember_refusal(b, c, c[5])
    end
    return O.APPLIED, b.seq
  end
  local known = find_by_id(b, c[2])
  if known and not known.tombstone then return O.REPLAYED, known[R_SEQ], packed(b, c[2]), nil, nil, true end
  return O.NOT_FOUND, b.seq
end

function legs.drop(b, c)
  local leg = find_leg(b, c[2])
  if not leg or leg[LEG.ATTEMPT] ~= c[3] or leg[LEG.SEQ] > 0 then return O.NOT_FOUND, b.seq end
  drop(b, c[2], leg)
  return O.APPLIED, b.seq
end

function legs.follow_home(b, c)
  local id, leg = c[2], find_leg(b, c[2])
  if not leg then return O.NOT_FOUND, b.seq end
  if c[3] <= leg[LEG.SEQ] then return O.STALE, b.seq end
  if leg[LEG.SEQ] == 0 then contend(b, leg, -1) end
  local live = move_all(b, reservation_of(leg), leg[LEG.LINES], c[4])
  local drew, followed = leg[LEG.LINES], { unpack(leg) }
  followed[LEG.SEQ], followed[LEG.LINES] = c[3], c[4]
  set_leg(b, id, live and followed)
  tidy(b, id)
  log_leg(b, E.LEGFOLLOWED, next_seq(b), id, followed, '', '', drew)
  return O.APPLIED, b.seq
end

function legs.followed(b, c)
  local seq = b.following[c[2]]
  if seq == nil then seq = tonumber(call('HGET', b.prefix .. 'following', c[2]) or -1) end
  if seq ~= c[3] then return O.STALE, b.seq end
  b.following[c[2]] = false
  log(b, pack({ E.BASKETFOLLOWED, next_seq(b), b.now, '', '', c[2], seq }))
  return O.APPLIED, b.seq
end

function legs.write(b, meta)
  if next(b.following) then
    write_fields(b.prefix .. 'following', b.following, function(id) return b.following[id] end)
  end
  if b.dirty_baskets then
    write_fields(b.prefix .. 'baskets', b.dirty_baskets, function(identity)
      return b.baskets[identity] and pack(b.baskets[identity])
    end)
    if b.basket_count ~= tonumber(meta.baskets or 0) then call('HSET', b.prefix .. 'meta', 'baskets', b.basket_count) end
  end
  if b.dirty_legs then
    write_fields(b.prefix .. 'legs', b.dirty_legs, function(id) return b.legs[id] and pack(b.legs[id]) end)
  end
  if b.dirty_contended then
    write_fields(b.prefix .. 'contended', b.dirty_contended, function(place)
      return b.contended[place] ~= 0 and b.contended[place]
    end)
  end
  if b.undecided then write_scores(b.prefix .. 'undecided', b.undecided) end
end

-- Answers of the read function: who is undecided for too long, and whose legs have not followed.
function legs.read_undecided(b, limit)
  local found = {}
  for _, id in ipairs(call('ZRANGE', b.prefix .. 'undecided', '-inf', b.now, 'BYSCORE', 'LIMIT', 0, limit)) do
    local leg, basket = find_leg(b, id), find_basket(b, identity_of(id))
    local open = basket and basket[BASKET.ID] == id and basket[BASKET.DEADLINE] > 0 and basket[BASKET.ATTEMPT]
    found[#found + 1] = { id, leg and leg[LEG.SEQ] == 0 and leg[LEG.ATTEMPT] or 0, open or 0 }
  end
  return found
end

function legs.read_following(b, limit)
  local found, flat = {}, call('HRANDFIELD', b.prefix .. 'following', limit, 'WITHVALUES')
  for i = 1, #flat, 2 do found[#found + 1] = { flat[i], tonumber(flat[i + 1]) } end
  return found
end

function legs.is_open(b, id)
  local basket = find_basket(b, identity_of(id))
  return basket and basket[BASKET.ID] == id and basket[BASKET.DEADLINE] > b.now or false
end
