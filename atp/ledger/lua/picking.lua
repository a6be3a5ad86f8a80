-- Picking: which units of an order's reservations an event speaks of; domain/rules/telling.py gives the reasons. `t` is the
-- event under way: telling.lua.

local picking = {}

local POOLS = { { A_COMMITTED, true }, { A_HELD, true }, { A_COMMITTED, false }, { A_HELD, false } }

-- Calls visit(id, record, line, allocation) for every allocation of the order's reservations, of one sku if it is named.
-- They are sorted by sku once: an event of many lines is about an order of many.
function picking.each(records, sku, visit)
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
function picking.is_mine(b, t, location) return t.c[4] == authority_of(b, location) end

-- Everything that the event may speak of, as lines without a location.
function picking.all_lines(b, t, records)
  local what, known, committed, order, found = t.c[2], false, false, {}, {}
  for _, record in ipairs(records) do
    for _, told in ipairs(record[2][R_CHANGES]) do known = known or (what == 'fulfilled' and told[1] == t.c[13]) end
  end
  picking.each(records, nil, function(_, _, a) committed = committed or a[A_COMMITTED] > 0 end)
  picking.each(records, nil, function(_, line, a)
    local units = 0
    if what == 'acknowledged' then
      units = inclusion.may_acknowledge(b, line[L_SKU], a, t.c[4])
    elseif what == 'cancelled' then
      units = a[A_COMMITTED] + a[A_HELD]
    else
      if not known then units = a[committed and A_COMMITTED or A_HELD] end
      units = units + (picking.is_mine(b, t, a[A_LOCATION]) and told_units(a) or a[A_AHEAD] or 0)
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
function picking.look_before(b, t, records, lines)
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
        picking.each(records, line[1], function(_, _, a) add(line[1], a[A_LOCATION]) end)
      end
    end
  end
  for _, place in ipairs(places) do place[3] = shortage.unpromised(b, place[1], place[2]) end
  return places
end

-- Take units of a line from the pools in their order; returns what no reservation had.
function picking.from_pools(records, line, rest, take)
  for _, pool in ipairs(POOLS) do
    local state, near = pool[1], pool[2]
    picking.each(records, line[1], function(found, drawn, a)
      local units = math.min(rest, a[state])
      if units > 0 and near == (line[3] == '' or line[3] == a[A_LOCATION]) then
        rest = rest - units
        take(found, drawn, a, state, units, near)
      end
    end)
  end
  return rest
end
