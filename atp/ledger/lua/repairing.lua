-- Repair and PutBack: domain/rules/repairing.py gives the reasons.
-- {tag, sku, location, source, raised, [[counter, name, by, value], …], client, cause}
-- {tag, id, order_ref, [record], raised, client, cause} -> APPLIED, NOT_FOUND or MOVED_ON.

-- The seq that told of the drift, while it is open.
local function drift_at(b, sku, location, source, id) return exceptions.find(b, 'drift', sku, location, source, id) end

local function tentative_key(c, x)
  return x[2] ~= '' and legs.BY_SELLER .. position_key(x[2], c[2]) or position_key(c[2], c[3])
end

local function split_customer(x) return string.match(x[2], '^([^\31]*)\31(.*)$') end

local function if_seen(value, x) return value == x[4] and value or nil end

-- What a counter is, nil if the correction does not go with it any more; and what makes it another value.
local counter_now, counter_set = {}, {}

local function of_position(counter, slot)
  counter_now[counter] = function(b, c)
    local p = find_position(b, c[2], c[3])
    return p and p[slot] or 0
  end
  counter_set[counter] = function(b, c, _, value) position_record(b, c[2], c[3])[slot] = value end
end

-- `slot` is behind the day's name: projection.lua.
local function of_day(counter, slot)
  counter_now[counter] = function(b, c, x)
    local p = find_position(b, c[2], c[3])
    local days = p and p[P_SUPPLY] or {}
    for i = 1, #days, 5 do
      if days[i] == x[2] then return days[i + slot] end
    end
    return 0
  end
  counter_set[counter] = function(b, c, x, value)
    set_day(position_record(b, c[2], c[3])[P_SUPPLY], x[2], slot, value, x[4])
  end
end

of_position('held', P_HELD)
of_position('committed', P_COMMITTED)
of_day('quantity', 2)
of_day('pegged', 3)
of_day('due', 4)

function counter_now.number(b, c)
  local p = find_position(b, c[2], c[3])
  local n = p and find_number(p, c[4])
  return n and n[N_NUMBER] or 0
end

function counter_set.number(b, c, _, value) inclusion.number_record(position_record(b, c[2], c[3]), c[4])[N_NUMBER] = value end

function counter_now.contended(b, c, x) return legs.contended_at(b, tentative_key(c, x)) end

function counter_set.contended(b, c, x, value) legs.set_contended(b, tentative_key(c, x), value) end

function counter_now.used(b, c, x)
  local s = find_sku(b, c[2])
  local seller = s and find_seller(s, x[2])
  return seller and seller[W.SINCE] == x[4] and seller[W.USED] or nil
end

function counter_set.used(b, c, x, value) find_seller(find_sku(b, c[2]), x[2])[W.USED] = value end

function counter_now.holding(b, _, x)
  return if_seen(count_of(b, b.holding, 'holding', position_key(split_customer(x))), x)
end

function counter_set.holding(b, _, x, value)
  local field = position_key(split_customer(x))
  b.holding[field], b.dirty_holding[field] = value, value
end

function counter_now.buyers(b, c, x)
  local campaign, customer = split_customer(x)
  local counts = buyers_of(b, campaign).counts
  return if_seen(count_of(b, counts, 'buyers:' .. campaign, position_key(c[2], customer)), x)
end

function counter_set.buyers(b, c, x, value)
  local campaign, customer = split_customer(x)
  local buyers, field = buyers_of(b, campaign), position_key(c[2], customer)
  buyers.counts[field], buyers.dirty[field] = value, value
end

local function number_at(b, c, source)
  local p = find_position(b, c[2], c[3])
  return p and find_number(p, source)
end

function counter_now.included(b, c, x)
  local n = number_at(b, c, x[2])
  return n and n[N_INCLUDED] or 0
end

function counter_set.included(b, c, x, value) inclusion.number_record(position_record(b, c[2], c[3]), x[2])[N_INCLUDED] = value end

-- Units that a source will count: its name, and the version.
local function version_in(x)
  local source, generation, high, low = string.match(x[2], '^(.*)\31(%d+)\31(%d+)\31(%d+)$')
  return source, { tonumber(generation), tonumber(high), tonumber(low) }
end

function counter_now.pending(b, c, x)
  local source, version = version_in(x)
  local n = number_at(b, c, source)
  if not version_less(n and n[N_VERSION] or { 0, 0, 0 }, version) then return nil end
  local at = n and inclusion.pending_at(n, version)
  return at and n[N_PENDING][at + 3] or 0
end

function counter_set.pending(b, c, x, value)
  local source, version = version_in(x)
  local pending = inclusion.number_record(position_record(b, c[2], c[3]), source)[N_PENDING]
  local at = inclusion.pending_at(number_at(b, c, source), version)
  if at then inclusion.drop_pending(pending, at) end
  if value ~= 0 then
    for _, word in ipairs({ version[1], version[2], version[3], value }) do pending[#pending + 1] = word end
  end
end

function counter_now.exception(b, _, x) return if_seen(exceptions.raised_at(b, x[2]), x) end

function counter_set.exception(b, _, x, value) exceptions.set(b, x[2], value) end

-- What the law makes anew by itself is not counted here.
local function none() return 0 end
counter_now.sums, counter_now.places, counter_now.awaited, counter_now.count = none, none, none, none

function counter_set.sums() end

-- The sku lists the location if it has a position there.
function counter_set.places(b, c, x)
  local s, listed = sku_record(b, c[2]), {}
  for location in string.gmatch(places_text(b, s, c[2]) or '', '[^%z]+') do
    if location ~= x[2] then listed[#listed + 1] = location end
  end
  s[S.LOCATIONS], b.places[c[2]] = '', nil
  local text = table.concat(listed, '\0')
  if #text > PLACES_MAX then s[S.LOCATIONS], b.places[c[2]], b.dirty_places[c[2]] = '+', text, text
  else s[S.LOCATIONS] = text end
  if find_position(b, c[2], x[2]) then add_place(b, s, c[2], x[2]) end
  b.dirty_skus[c[2]], b.ranked[c[2]] = true, nil
end

function counter_set.awaited(b, _, x) naming.schedule(b, x[2]) end

-- How many there are: nothing of this batch is written yet, so by how much the count was wrong can be asked.
local counted = { shortages = { 'HLEN', 'shortage', 'shortage_count' }, exceptions = { 'HLEN', 'exception', 'exception_count' },
  baskets = { 'HLEN', 'baskets', 'basket_count' }, awaited = { 'ZCARD', 'awaited', 'awaited_count' } }

function counter_set.count(b, _, x)
  local name = x[2]
  if b.recounted[name] then return end
  local how = counted[name]
  b[how[3]] = b[how[3]] + call(how[1], b.prefix .. how[2]) - tonumber(b.meta[name] or 0)
  b.recounted[name] = how[3]
end

local function write_counts(b)
  for name, counter in pairs(b.recounted) do call('HSET', b.prefix .. 'meta', name, b[counter]) end
end

-- Sums went with the counters or with the records, who knows: they are made anew by whoever needs them next.
local function forget_sums(b, sku)
  local s = sku_record(b, sku)
  s[S.SUMS], s[S.EMPTY], b.floors[sku], b.empty[sku] = {}, {}, nil, 0
end

local function repair(b, c)
  if drift_at(b, c[2], c[3], c[4], '') ~= c[5] then return O.NOT_FOUND, b.seq, nil, nil, 'drift' end
  local seen, corrected = {}, {}
  for i, x in ipairs(c[6]) do
    seen[i] = counter_now[x[1]](b, c, x)
    if not seen[i] then return O.MOVED_ON, b.seq end
  end
  local before = c[3] ~= '' and shortage.unpromised(b, c[2], c[3])
  for i, x in ipairs(c[6]) do
    counter_set[x[1]](b, c, x, seen[i] + x[3])
    corrected[i] = { x[1], x[2], seen[i], seen[i] + x[3], x[4] }
  end
  local seq = next_seq(b)
  if c[2] ~= '' then
    forget_sums(b, c[2])
    touch(b, c[2], seq)
  end
  log(b, pack({ E.REPAIRED, seq, b.now, c[7], c[8], c[2], c[3], c[4], c[5], corrected,
    c[3] ~= '' and { balance(b, c[2], c[3]) } or {} }))
  exceptions.over(b, 'drift', c[8], c[2], c[3], c[4], '', 'repaired', '', c[7])
  if before then shortage.report(b, c[2], c[3], c[8], before) end
  return O.APPLIED, seq
end

-- The record to keep: the journal's if it is newer than what is here, else what is here; nil if that is not what was seen.
local function record_to_keep(b, c)
  local identity = identity_of(c[2])
  local known, r = find_reservation(b, identity), c[4][1]
  if not r then return known and not known.tombstone and known[R_BUCKET] == string.sub(c[2], 1, 3) and known end
  if known then
    local bucket, seq = known[R_BUCKET], known[R_SEQ]
    if known.tombstone then bucket, seq = known[T.BUCKET], known[T.SEQ] end
    if bucket ~= string.sub(c[2], 1, 3) or seq > r[R_SEQ] then return nil end
  end
  r[1], r[R_BUCKET] = FORMAT, string.sub(c[2], 1, 3)
  clock.postpone(b, identity, r)
  return r
end

local function put_back(b, c)
  if drift_at(b, '', '', '', c[2]) ~= c[5] then return O.NOT_FOUND, b.seq, nil, nil, 'drift' end
  local r = record_to_keep(b, c)
  if r == nil then return O.MOVED_ON, b.seq end
  local seq
  if r then
    if c[3] ~= r[R_ORDER] then naming.unname(b, c[2], c[3]) end
    naming.name(b, c[2], r[R_ORDER])
    seq = next_seq(b)
    local record, balances = keep(b, c[2], r, seq, units_of(r).held)
    log(b, '\154' .. pack(E.PUTBACK, seq, b.now, c[6], c[7], c[2], c[3], c[5]) .. '\145' .. record .. pack(balances))
  else
    naming.unname(b, c[2], c[3])
    b.due[c[2]] = false
    seq = next_seq(b)
    log(b, pack({ E.PUTBACK, seq, b.now, c[6], c[7], c[2], c[3], c[5], {}, {} }))
  end
  legs.schedule(b, c[2])
  exceptions.over(b, 'drift', c[7], '', '', '', c[2], 'repaired', '', c[6])
  return O.APPLIED, seq
end

handlers[C.REPAIR], handlers[C.PUTBACK] = repair, put_back
