"""Corrections by people."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("a correction counts twice", "local done = lookup(b, b.adjusted, 'adjusted', event)", "local done = nil"),
    ("a key may be used with another correction", "if done[1] ~= c[6] then return O.KEY_REUSED, done[2] end", ""),
    (
        "a correction is inside the level before it",
        "return { version[1], version[2], version[3] + 1 }",
        "return version",
    ),
    (
        "a correction wraps to an older version",
        "if version[3] == 4294967295 then return { version[1], version[2] + 1, 0 } end",
        "if version[3] == 4294967295 then return { version[1], version[2], 0 } end",
    ),
    (
        "a correction outlives the next level",
        "local version = after(version_less(n[N_VERSION], n[N_FLOOR]) and n[N_FLOOR] or n[N_VERSION])",
        "local version = { 9, 0, 0 }",
    ),
    (
        "a correction is made at a place nobody knows",
        "if not b.policies.locations[c[3]] then return O.UNKNOWN_LOCATION, b.seq, nil, nil, c[3] end\n  local authority",
        "local authority",
    ),
    ("a correction makes no shortage", "shortage.report(b, c[2], c[3], c[9], before)", ""),
    (
        "corrections are never forgotten",
        "if lookup(b, b.adjusted, 'adjusted', event)[3] + TOMBSTONE_MS > b.now then return end",
        "do return end",
    ),
    (
        "corrections are forgotten at once",
        "if lookup(b, b.adjusted, 'adjusted', event)[3] + TOMBSTONE_MS > b.now then return end",
        "",
    ),
    (
        "the order of corrections is kept for ever",
        "if b.unadjusted > 0 then call('LPOP', b.prefix .. 'adjustments', b.unadjusted) end",
        "",
    ),
)
