"""Lifecycle."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("confirmed units stay held", "shift_units(b, line, a, -units, units)", "shift_units(b, line, a, 0, units)"),
    ("what is no longer held stays due", "bulk('ZREM', key, removed)", "call('TIME')"),
    ("a change leaves the sku's seq", "touch(b, lines[1][L_SKU], seq)\n", "\n"),
    ("a change's body is not compared", "return r, known[2] == change[2] and O.REPLAYED or O.KEY_REUSED", "return r, O.REPLAYED"),
    ("more than 32 changes are remembered", "if #changes > CHANGES_MAX then table.remove(changes, 1) end", ""),
    ("a due hold is changed before it is settled", "r[R_EXPIRES] + GRACE_MS <= b.now and units_of(r).held > 0 then return r, O.AGAIN end", "false then return r, O.AGAIN end"),
    ("of both, committed units go first", "    if of ~= 'committed' then -- of both, what nobody paid for goes first\n      quantity = release_units(b, m, r, want[1], quantity, A_HELD)\n      left = left - (want[2] - quantity)\n    end\n    if of ~= 'held' then release_units(b, m, r, want[1], quantity, A_COMMITTED) end\n", "    if of ~= 'held' then quantity = release_units(b, m, r, want[1], quantity, A_COMMITTED) end\n    if of ~= 'committed' then left = left - (quantity - release_units(b, m, r, want[1], quantity, A_HELD)) end\n"),
    ("the grace is missing", "r[R_EXPIRES] + GRACE_MS or false", "r[R_EXPIRES] or false"),
    ("a deadline moves nearer", "math.max(r[R_EXPIRES], b.now + c[4])", "b.now + c[4]"),
    ("the longest hold counts from now", "if expires > r[R_SINCE] + channel_of(","if expires > b.now + channel_of("),
    ("due holds are settled in another order", "call('ZRANGE', key, from, to, 'BYSCORE', 'LIMIT', 0, limit", "call('ZRANGE', key, to, from, 'BYSCORE', 'REV', 'LIMIT', 0, limit"),
    ("more holds are settled than asked", "due[#due] = nil", ""),
    ("ended units stay held", """\
        shift_units(b, line, a, -a[A_HELD], 0)
        count_held(b, r, line[L_SKU]""", """\
        count_held(b, r, line[L_SKU]"""),
    ("expired units count as released", "end_held(b, r, A_EXPIRED)", "end_held(b, r, A_RELEASED)"),
    ("a confirm of all is a repeat though a part has expired", "    if t.expired > 0 then return O.EXPIRED, r[R_SEQ], packed(b, c[2]) end\n", ""),
    ("a tombstone forgets that a part has expired", "return t.expired > 0 and IN_PART or 'fulfilled' end", "return 'fulfilled' end"),
    ("a fulfil is no repeat of one in part", "c[3], 'fulfilled', IN_PART)", "c[3], 'fulfilled')"),
)  # fmt: skip
