-- Incoming supply: domain/rules/supply.py gives the reasons. Both commands share a level's slots up to as_of.

local DAY, STARTS, QUANTITY, RECEIVED, SOURCE, VERSION, RECEIPTS, TOLD, AS_OF, OTHERS = 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
local OVERDUE_MS = 86400000

local function supply_record(b, c, id)
  local field = position_key(c[2], c[3]) .. '\0' .. id
  local supply = lookup(b, b.supplies, 'supply', field) or { FORMAT, '', 0, 0, 0, '', {}, {}, false, 0, {} }
  supply[TOLD], supply[AS_OF], supply[OTHERS] = supply[TOLD] or false, supply[AS_OF] or 0, supply[OTHERS] or {}
  return supply, field
end

local function keep_supply(b, field, supply)
  b.supplies[field], b.dirty_supplies[field] = supply, supply
end

local function units_left(supply) return math.max(0, supply[QUANTITY] - supply[RECEIVED]) end

local function is_overdue(b, supply) return units_left(supply) > 0 and b.now >= supply[STARTS] + OVERDUE_MS end

local function end_overdue(b, c, id, cause, supply)
  if not supply[TOLD] or is_overdue(b, supply) then return end
  supply[TOLD] = false
  exceptions.over(b, 'supply-overdue', cause, c[2], c[3], '', id, 'over', '', '')
end

handlers[C.OVERDUE] = function(b, c)
  local field = position_key(c[2], c[3]) .. '\0' .. c[4]
  local supply = lookup(b, b.supplies, 'supply', field)
  if not supply or supply[TOLD] or b.apart or not is_overdue(b, supply) then return O.NOT_FOUND, b.seq, nil, nil, c[4] end
  local detail = string.format('%.0f units expected on %s by %s', units_left(supply), supply[DAY], supply[SOURCE])
  if exceptions.raise(b, 'supply-overdue', c[5], c[2], c[3], '', c[4], detail) then
    supply[TOLD] = true
    keep_supply(b, field, supply)
  end
  return O.APPLIED, b.seq
end

-- Which of two words counts: the later one, then the one that promises less, or later; then any, always the same.
local function weighs_less(x, y)
  if x[6] ~= y[6] then return x[6] < y[6] end
  if (x[5] == 0) ~= (y[5] == 0) then return y[5] == 0 end
  if x[4] ~= y[4] then return x[4] < y[4] end
  if x[5] ~= y[5] then return x[5] > y[5] end
  return bytes_less(x[1], y[1])
end

-- Keep a source's last word, {source, version and tie, day, start, quantity, as of}; the weightiest of all counts, and the
-- least of too many is forgotten.
local function announce(supply, told)
  local known, others = { told }, supply[OTHERS]
  if supply[SOURCE] ~= '' then
    others = { { supply[SOURCE], supply[VERSION], supply[DAY], supply[STARTS], supply[QUANTITY], supply[AS_OF] } }
    for _, x in ipairs(supply[OTHERS]) do others[#others + 1] = x end
  end
  for _, x in ipairs(others) do
    if x[1] ~= told[1] then known[#known + 1] = x end
  end
  table.sort(known, function(x, y) return weighs_less(y, x) end)
  local first = table.remove(known, 1)
  supply[SOURCE], supply[VERSION], supply[DAY] = first[1], first[2], first[3]
  supply[STARTS], supply[QUANTITY], supply[AS_OF] = first[4], first[5], first[6]
  known[ANNOUNCED_MAX + 1] = nil
  table.sort(known, function(x, y) return bytes_less(x[1], y[1]) end)
  supply[OTHERS] = known
end

-- The version and tie of the source's last word on it, or nil.
local function last_word(supply, source)
  if supply[SOURCE] == source then return supply[VERSION] end
  for _, x in ipairs(supply[OTHERS]) do
    if x[1] == source then return x[2] end
  end
end

local function incoming(b, c)
  local refusal, detail = stock.refuse(b, c, '')
  if refusal then return refusal, b.seq, nil, nil, detail end
  local source = source_record(b, c[4], c[6], c[14])
  local version = { source[3], c[7][1], c[7][2] }
  local supply, field = supply_record(b, c, c[11])
  local last = last_word(supply, c[4])
  if last and (version_less(version, last) or (not version_less(last, version) and c[9] <= last[4])) then
    return O.STALE, b.seq
  end
  local days = position_record(b, c[2], c[3])[P_SUPPLY]
  local before = shortage.unpromised(b, c[2], c[3])
  expect(days, supply[DAY], supply[STARTS], -units_left(supply))
  announce(supply, { c[4], { version[1], version[2], version[3], c[9] }, c[12], c[13], c[5], c[10] })
  local left = units_left(supply)
  expect(days, supply[DAY], supply[STARTS], left)
  keep_supply(b, field, supply)
  local seq = next_seq(b)
  touch(b, c[2], seq)
  log(b, pack({ E.EXPECTED, seq, b.now, '', c[14], c[2], c[3], c[4], c[11], c[5], c[12], c[13], version, c[8], c[9], c[10],
    left, { balance(b, c[2], c[3]) }, supply[SOURCE] ~= c[4] and supply[SOURCE] or nil }))
  end_overdue(b, c, c[11], c[14], supply)
  shortage.report(b, c[2], c[3], c[14], before)
  return O.APPLIED, seq
end

local function received(b, c)
  local refusal, detail = stock.refuse(b, c, '')
  if refusal then return refusal, b.seq, nil, nil, detail end
  local source = source_record(b, c[4], c[6], c[13])
  local version = { source[3], c[7][1], c[7][2] }
  local supply, field = supply_record(b, c, c[12])
  local receipts = supply[RECEIPTS]
  for _, event in ipairs(receipts) do
    if event == c[11] then return O.DUPLICATE, b.seq end
  end
  local days = position_record(b, c[2], c[3])[P_SUPPLY]
  local before = shortage.unpromised(b, c[2], c[3])
  local n = stock.change(b, c, source, version)
  expect(days, supply[DAY], supply[STARTS], -units_left(supply))
  supply[RECEIVED] = supply[RECEIVED] + c[5]
  receipts[#receipts + 1] = c[11]
  if #receipts > RECEIPTS_MAX then table.remove(receipts, 1) end
  local left = units_left(supply)
  expect(days, supply[DAY], supply[STARTS], left)
  keep_supply(b, field, supply)
  local seq = next_seq(b)
  touch(b, c[2], seq)
  log(b, pack({ E.RECEIVED, seq, b.now, '', c[13], c[2], c[3], c[4], c[12], c[5], left, n[N_NUMBER], version, c[8], c[9],
    c[10], c[11], { balance(b, c[2], c[3]) }, stock.changed_of(b, c) }))
  end_overdue(b, c, c[12], c[13], supply)
  shortage.report(b, c[2], c[3], c[13], before)
  return O.APPLIED, seq
end

handlers[C.INCOMING], handlers[C.RECEIVED] = incoming, received
