-- Affect: one page of a shortage's reservations; domain/rules/shortage.py gives the reasons.

local function covered(b, c, open)
  return -shortage.unpromised(b, c[2], c[3]) <= (open[4] == 'revoke_holds' and 0 or open[6])
end

-- Held and committed units of a reservation at a position, and held ones elsewhere.
local function units_at(r, sku, location)
  local held, committed, elsewhere = 0, 0, 0
  for _, line in ipairs(r[R_LINES]) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      if line[L_SKU] == sku and a[A_LOCATION] == location then
        held, committed = held + a[A_HELD], committed + a[A_COMMITTED]
      else
        elsewhere = elsewhere + a[A_HELD]
      end
    end
  end
  return held, committed, elsewhere
end

local function revoke(b, c, id, r, open, elsewhere)
  for _, line in ipairs(r[R_LINES]) do
    for _, a in ipairs(line[L_ALLOCATIONS]) do
      if line[L_SKU] == c[2] and a[A_LOCATION] == c[3] and a[A_HELD] > 0 then
        shift_units(b, line, a, -a[A_HELD], 0)
        count_held(b, r, c[2], -a[A_HELD])
        count_sold(b, r, c[2], -a[A_HELD])
        a[A_RELEASED] = a[A_RELEASED] + a[A_HELD]
        a[A_HELD] = 0
      end
    end
  end
  changed(b, { C.AFFECT, id, { shortage.REVOKED, open[2] } }, r, elsewhere, E.RELEASED, r[R_CLIENT], c[9], 'shortage')
end

function shortage.affect(b, c)
  local place = position_key(c[2], c[3])
  local open = shortage.find(b, place)
  if not open or open[2] ~= c[4] or shortage.unpromised(b, c[2], c[3]) >= 0 then
    return O.NOT_ACTIVE, b.seq, nil, nil, 'closed'
  end
  if open[8] or open[7] ~= c[5] then
    return O.REPLAYED, b.seq, nil, nil, open[8] and 'done' or string.format('%.0f', open[7]), true
  end
  if b.due_left then return O.AGAIN, b.seq end
  local victims, revoking = {}, open[4] == 'revoke_holds'
  for _, id in ipairs(c[7]) do
    if covered(b, c, open) then break end
    local r = find_by_id(b, id)
    if r and not r.tombstone then
      local held, committed, elsewhere = units_at(r, c[2], c[3])
      if held + committed > 0 then
        if revoking and held > 0 then revoke(b, c, id, r, open, elsewhere) end
        open[6] = open[6] + held + committed
        victims[#victims + 1] = { id, held, committed, revoking and held or 0 }
      end
    end
  end
  open[7], open[8] = c[6], c[8] or covered(b, c, open)
  b.dirty_shortages[place] = true
  local seq, short = next_seq(b), math.max(0, -shortage.unpromised(b, c[2], c[3]))
  log(b, pack({ E.AFFECTED, seq, b.now, '', c[9], c[2], c[3], open[2], victims, short, open[8], c[6] }))
  return O.APPLIED, seq, nil, nil, open[8] and 'done' or nil
end

handlers[C.AFFECT] = shortage.affect
