"""Shortages."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("a shortage is not reported", "if after >= 0 or after >= before then return end", "if true then return end"),
    ("a shortage is reported again", "if after >= 0 or after >= before then return end", "if after >= 0 then return end"),
    ("an item's word on shortages is not read", "local policy, order = item.on_shortage or 'report', item.victims or 'newest'", "local policy, order = 'report', item.victims or 'newest'"),
    ("an item's order of victims is not read", "item.victims or 'newest'", "'newest'"),
    ("a shortage never ends", "if b.shortage_count == 0 then return end", "if true then return end"),
    ("a shortage ends too early", "if shortage.unpromised(b, sku, location) >= 0 then", "if shortage.unpromised(b, sku, location) >= -1 then"),
    ("another authority ends no shortage", "if not b.policies.version then\n    local stored = call('HGETALL', b.prefix .. 'shortage')", "if false then\n    local stored = call('HGETALL', b.prefix .. 'shortage')"),
    ("a shortage that is over is remembered", "return b.shortages[place] and pack(b.shortages[place])", "return pack(b.shortages[place] or {})"),
    ("safety stock makes a shortage", "or free) + safety_stock(s, location)", "or free)"),
    ("pages count twice", "if open[8] or open[7] ~= c[5] then", "if open[8] then"),
    ("pages go on when all is told", "if open[8] or open[7] ~= c[5] then", "if open[7] ~= c[5] then"),
    ("pages of another shortage count", "if not open or open[2] ~= c[4] or", "if not open or"),
    ("victims are named among due holds", "if b.due_left then return O.AGAIN, b.seq end\n  local victims", "local victims"),
    ("more is revoked than is short", "if covered(b, c, open) then break end", ""),
    ("holds are revoked that are only to be reported", "local victims, revoking = {}, open[4] == 'revoke_holds'", "local victims, revoking = {}, true"),
    ("revoked units stay held", "        shift_units(b, line, a, -a[A_HELD], 0)\n        count_held(b, r, c[2]", "        count_held(b, r, c[2]"),
    ("revoked units stay counted to the customer", "count_held(b, r, c[2], -a[A_HELD])\n        count_sold(b, r, c[2], -a[A_HELD])", "count_sold(b, r, c[2], -a[A_HELD])"),
    ("revoked units stay counted to the seller", "count_sold(b, r, c[2], -a[A_HELD])", ""),
    ("units elsewhere are revoked", "if line[L_SKU] == c[2] and a[A_LOCATION] == c[3] and a[A_HELD] > 0 then", "if line[L_SKU] == c[2] and a[A_HELD] > 0 then"),
    ("a hold that has units elsewhere loses its deadline", "held, committed, elsewhere = 0, 0, 0\n  for", "held, committed, elsewhere = 0, 0, -99\n  for"),
    ("why a hold was revoked is not told", "{ shortage.REVOKED, open[2] } }", "{ 999, open[2] } }"),
    ("a tombstone does not tell why", "outcome == O.NOT_ACTIVE and why_ended(r[T.CHANGES]) or nil", "nil"),
    ("the last page is not the last", "open[7], open[8] = c[6], c[8] or covered(b, c, open)", "open[7], open[8] = c[6], covered(b, c, open)"),
)  # fmt: skip
