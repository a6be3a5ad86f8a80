-- What a position has: its balance as entries show it, and the units that may still be promised.

local function shipped_units(p)
  local units, shipped = 0, p[P_SHIPPED]
  for i = 2, #shipped, 2 do units = units + shipped[i] end
  return units
end

-- {sku, location, number, unsellable, safety stock, held, committed, shipped} of a position, as entries show it.
local function balance(b, sku, location)
  local s, p = find_sku(b, sku), find_position(b, sku, location)
  local number, unsellable, held, committed, shipped = 0, 0, 0, 0, 0
  if p then
    local n = find_number(p, authority_of(b, location))
    number = n and n[N_NUMBER] or 0
    unsellable, held, committed, shipped = p[P_UNSELLABLE], p[P_HELD], p[P_COMMITTED], shipped_units(p)
  end
  return { sku, location, number, unsellable, s and safety_stock(s, location) or 0, held, committed, shipped }
end

local function free_of(t) return t[3] - t[4] - t[5] - t[6] - t[7] - t[8] end

-- Free units of a position, without the table of a balance; `place` is its key.
local function free_at(b, sku, location, place)
  local p = lookup(b, b.positions, 'pos', place)
  if not p then return 0 end
  local n = find_number(p, authority_of(b, location))
  return (n and n[N_NUMBER] or 0) - p[P_UNSELLABLE] - safety_stock(b.skus[sku], location) - p[P_HELD]
    - p[P_COMMITTED] - shipped_units(p)
end
