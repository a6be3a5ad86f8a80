-- Shortages, found and over: domain/rules/shortage.py gives the reasons.

local shortage = { REVOKED = 0 } -- stands for the key of a change, as in domain/records.py

-- Supply that is not promised, on the worst day; safety stock limits sales and never makes a shortage. `p` is the
-- position's record, if it is at hand.
function shortage.unpromised(b, sku, location, p)
  local s = find_sku(b, sku)
  p = p or s and find_position(b, sku, location)
  if not p then return 0 end
  local free, dated = free_by(b, s, p, location, selling(b, s, p, location)), p[P_SUPPLY][1]
  return (dated and lowest(free, p[P_SUPPLY], '', b.now) or free) + safety_stock(s, location)
end

function shortage.find(b, place) return lookup(b, b.shortages, 'shortage', place) end

local function open_shortage(b, sku, location, cause, short_by)
  local s, place, seq = find_sku(b, sku), position_key(sku, location), next_seq(b)
  local item = s[S.POLICY] ~= '' and cjson.decode(s[S.POLICY]) or {}
  local policy, order = item.on_shortage or 'report', item.victims or 'newest'
  if not shortage.find(b, place) then b.shortage_count = b.shortage_count + 1 end
  b.shortages[place] = { FORMAT, seq, short_by, policy, order, 0, 0, false }
  b.dirty_shortages[place] = true
  log(b, pack({ E.SHORTAGE, seq, b.now, '', cause, sku, location, short_by, policy, order }))
end

function shortage.report(b, sku, location, cause, before, p)
  local after = shortage.unpromised(b, sku, location, p)
  if after >= 0 or after >= before then return end
  open_shortage(b, sku, location, cause, -after)
end

-- Another number may count here now: open a shortage if promises are not covered, or fewer than was told.
function shortage.recheck(b, sku, location, cause)
  local open = shortage.find(b, position_key(sku, location))
  local short_by = -shortage.unpromised(b, sku, location)
  if short_by > (open and open[3] or 0) then open_shortage(b, sku, location, cause, short_by) end
end

-- At the end of a batch: only while there are shortages, and then only those of positions that were written, or all
-- when it may count another source now.
function shortage.close(b)
  if b.shortage_count == 0 then return end
  if not b.policies.version then
    local stored = call('HGETALL', b.prefix .. 'shortage')
    for i = 1, #stored, 2 do
      if b.shortages[stored[i]] == nil then b.shortages[stored[i]] = unpack_one(stored[i + 1]) end
    end
  else
    local places = {}
    for place in pairs(b.dirty_positions) do
      if b.shortages[place] == nil then places[#places + 1] = place end
    end
    fetch(b.prefix .. 'shortage', places, b.shortages, unpack_one)
  end
  local open = {}
  for place, record in pairs(b.shortages) do
    if record then open[#open + 1] = place end
  end
  table.sort(open, bytes_less)
  for _, place in ipairs(open) do
    local sku, location = string.match(place, '^(%Z+)%z(%Z+)$')
    if shortage.unpromised(b, sku, location) >= 0 then
      log(b, pack({ E.CLOSED, next_seq(b), b.now, '', '', sku, location, b.shortages[place][2] }))
      b.shortages[place] = false
      b.dirty_shortages[place] = true
      b.shortage_count = b.shortage_count - 1
    end
  end
end

function shortage.write(b)
  if not next(b.dirty_shortages) then return end
  write_fields(b.prefix .. 'shortage', b.dirty_shortages, function(place)
    return b.shortages[place] and pack(b.shortages[place])
  end)
  call('HSET', b.prefix .. 'meta', 'shortages', b.shortage_count)
end
