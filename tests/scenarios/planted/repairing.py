"""Repairs."""

MUTANTS = (
    (
        "a record put back has a deadline that an outage moved",
        "  clock.postpone(b, identity, r)\n  return r\n",
        "  return r\n",
    ),
    (
        "a repair counts twice",
        "if drift_at(b, c[2], c[3], c[4], '') ~= c[5] then return O.NOT_FOUND, b.seq, nil, nil, 'drift' end",
        "",
    ),
    (
        "a seller's new count is repaired by the old one's drift",
        "return seller and seller[W.SINCE] == x[4] and seller[W.USED] or nil",
        "return seller and seller[W.USED] or nil",
    ),
    (
        "a customer's count is repaired when it moved on",
        "local function if_seen(value, x) return value == x[4] and value or nil end",
        "local function if_seen(value) return value end",
    ),
    (
        "an older record takes a newer one's place",
        "if bucket ~= string.sub(c[2], 1, 3) or seq > r[R_SEQ] then return nil end",
        "",
    ),
    (
        "acknowledged units are to wait for a version that is over",
        "if not version_less(n and n[N_VERSION] or { 0, 0, 0 }, version) then return nil end",
        "",
    ),
    (
        "a record put back has no deadline",
        "local record, balances = keep(b, c[2], r, seq, units_of(r).held)",
        "local record, balances = keep(b, c[2], r, seq, 0)",
    ),
)
