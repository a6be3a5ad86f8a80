-- Undecided legs as other commands meet them: domain/rules/contended.py gives the reasons.

legs.BY_SELLER = '\30' -- before the seller's name where tentative units are kept by seller and sku

-- Units at a place that undecided legs hold.
function legs.contended_at(b, place)
  b.contended = b.contended or {}
  local known = b.contended[place]
  if known == nil then
    known = tonumber(call('HGET', b.prefix .. 'contended', place) or 0)
    b.contended[place] = known
  end
  return known
end

function legs.set_contended(b, place, units)
  b.contended[place], b.dirty_contended = units, b.dirty_contended or {}
  b.dirty_contended[place] = true
  if units > 0 then b.some_contended = true end
end

-- Begin a reading anew with the tentative units of these lines' skus ({line_id, sku, …}) counted as free; false when
-- there are none, which is one look in the common case.
function legs.give_back_tentative(b, s, lines)
  if b.some_contended == nil then b.some_contended = call('HLEN', b.prefix .. 'contended') > 0 end
  if not b.some_contended then return false end
  local done = {}
  for _, line in ipairs(lines) do
    local sku = line[2]
    local known = not done[sku] and find_sku(b, sku)
    done[sku] = true
    for _, location in ipairs(known and locations_of(b, known, sku) or {}) do
      give_back_at(s, sku, location, legs.contended_at(b, position_key(sku, location)))
    end
    for _, seller in ipairs(known and known[S.SELLERS] or {}) do
      local key = position_key(seller[W.NAME], sku)
      own(s, 'returned')[key] = (s.returned[key] or 0) + legs.contended_at(b, legs.BY_SELLER .. key)
    end
  end
  begin_reading(s)
  return true
end

-- Would the refused request be granted, were the tentative units free?
function legs.contended(b, s, c)
  if not legs.give_back_tentative(b, s, c[11]) then return false end
  if c[13] then
    local _, any = draw_lines(s, c[11], c[14])
    return any
  end
  return #shortfalls_of(s, c[11], c[14]) == 0
end

-- The baskets among these identities: their foreign skus have no positions here.
function legs.mark_foreign(b, basket)
  if basket then
    for _, sku in ipairs(basket[7]) do b.foreign[sku] = true end
  end
  return basket
end

function legs.read_baskets(b, identities)
  fetch(b.prefix .. 'baskets', identities, b.baskets, function(value) return legs.mark_foreign(b, unpack_one(value)) end)
end

function legs.spans(b, r)
  for _, line in ipairs(r[R_LINES]) do
    if b.foreign[line[L_SKU]] then return true end
  end
  return false
end

-- Is there a leg that has not heard of the record's last change? If not, its basket goes with the record.
function legs.lag(b, r, identity)
  local basket = legs.mark_foreign(b, lookup(b, b.baskets, 'baskets', identity))
  if not basket then return false end
  local id = r[R_BUCKET] .. identity
  local pending = b.following[id]
  if pending == nil then pending = call('HGET', b.prefix .. 'following', id) end
  if pending then return true end
  if basket[6] == 0 then legs.set_basket(b, identity, false) end
  return false
end

function legs.set_basket(b, identity, basket)
  if basket and not b.baskets[identity] then b.basket_count = b.basket_count + 1 end
  if b.baskets[identity] and not basket then b.basket_count = b.basket_count - 1 end
  b.baskets[identity] = basket
  b.dirty_baskets = b.dirty_baskets or {}
  b.dirty_baskets[identity] = true
end
