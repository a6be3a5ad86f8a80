-- Returns: domain/rules/returns.py gives the reasons. Slots as of a delta, then sellable and the order.

local function take_back(b, c)
  local refusal, detail = stock.refuse(b, c, '')
  if refusal then return refusal, b.seq, nil, nil, detail end
  local source = source_record(b, c[4], c[6], c[14])
  local version = { source[3], c[7][1], c[7][2] }
  local of = counted_as(b, c[4], c[3])
  local counts = c[12] or measure_of(b, of) == 'on_hand'
  local p = position_record(b, c[2], c[3])
  local n = inclusion.number_record(p, of)
  if stock.is_recent(b, c) or asides.has(p, of, 'unfit', c[11]) then return O.DUPLICATE, b.seq end
  local before, changed = shortage.unpromised(b, c[2], c[3]), false
  if counts then
    changed = select(2, stock.change(b, c, source, version))
  else
    stock.seen(b, c, source)
  end
  local last = n[N_STATUS]
  local unfit = not c[12] and (of ~= c[4] or not (last[1] and not version_less(last, version)))
  if not changed and not unfit then return O.INCLUDED, b.seq end
  if unfit then
    asides.note(b, p, of, 'unfit', c[5], version_in(c, of, version), c[11])
    n[N_UNSELLABLE] = n[N_UNSELLABLE] + c[5]
  end
  local seq = next_seq(b)
  touch(b, c[2], seq)
  log(b, pack({ E.RETURN, seq, b.now, '', c[14], c[2], c[3], c[4], c[5], c[12], c[13], n[N_NUMBER],
    n[N_UNSELLABLE], version, c[8], c[9], c[10], c[11], { balance(b, c[2], c[3]) }, stock.changed_of(b, c) }))
  shortage.report(b, c[2], c[3], c[14], before)
  return O.APPLIED, seq
end

handlers[C.BACK] = take_back
