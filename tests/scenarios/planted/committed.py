"""Replacements, quotes, and what becomes of committed units."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("a replaced hold stays held", "end_held(b, old, A_RELEASED)", ""),
    ("a replaced hold blocks its buyer", "if old then give_back_held(s, old) end", ""),
    ("another customer's hold is replaced", " or old[R_CUSTOMER] ~= c[6])", ")"),
    ("a paid basket is replaced", "if t.committed + t.fulfilled > 0 then return nil, O.NOT_ACTIVE, 'replaces' end", ""),
    ("replacing starts the longest hold anew", "local since = old and old[R_SINCE] or b.now", "local since = b.now"),
    ("a quote is held", "if c[15] then return O.QUOTED", "if false then return O.QUOTED"),
    ("a basket is split against its wish", "local together = open and not split and best_location(s, lines)", "split = true local together"),
    ("shipped units are sold again", "+ p[P_COMMITTED] + shipped_units(p)", "+ p[P_COMMITTED]"),
    ("any level counts a shipment", "shipped[i] >= as_of - SHIPPED_COUNTED_MS - SHIPPED_BUCKET_MS", "false"),
    ("another source's level counts a shipment", "if c[4] == authority_of(b, c[3]) then\n    count_shipped", "if true then\n    count_shipped"),
    ("a parcel counts twice", "if known[1] == c[5] then return answer_found(b, c[2], r, O.REPLAYED) end", ""),
    ("a transfer takes what is not free", "if available < c[7] then", "if false then"),
    ("a record is cut down before it is journaled", "return item[1] <= b.trimmed and item[2]", "return item[2]"),
    ("a record that came back to life is cut down", "and r[R_SEQ] == item[1] then", "then"),
    ("a tombstone forgets its last changes", "for _, known in ipairs(tombstone[T.CHANGES]) do", "for _, known in ipairs({}) do"),
    ("a tombstone's fingerprint is not compared", "if known[T.FINGERPRINT] ~= c[3] or not find_by_id(b, c[2]) then", "if not find_by_id(b, c[2]) then"),
    ("a tombstone stays for ever", "if #b.removed > 0 then", "if false then"),
    ("what came back to life is forgotten with its tombstone", "if r and r.tombstone and r[T.SEQ] == item[1] then", "if r then"),
    ("a second tombstone goes with the first", "if r and r.tombstone and r[T.SEQ] == item[1] then", "if r and r.tombstone then"),
    ("any record of the journal comes back", "outcome == O.EXPIRED and there[T.SEQ] == r[R_SEQ]", "outcome == O.EXPIRED"),
    ("a record comes back without being asked for", "if not c[8] or not last then", "if not last then"),
    ("what was released comes back", "if t.held + t.committed > 0 or t.expired == 0 then return answer_found(b, c[2], known, outcome) end", ""),
    ("a record that comes back forgets its changes", "for _, change in ipairs(r[R_CHANGES]) do\n    if change[1] == c[3][1] then", "for _, change in ipairs({}) do\n    if change[1] == c[3][1] then"),
    ("units are reacquired out of nothing", "if #short > 0 then", "if false then"),
)  # fmt: skip
