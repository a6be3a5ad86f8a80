"""Stock."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("an older level wins", "note_older(b, c[4], source, c[12]) end\n    return O.STALE, b.seq", "note_older(b, c[4], source, c[12]) end\n    n = n"),
    ("the tie of equal versions is ignored", " and c[9] <= n[N_TIE])", ")"),
    ("a delta counts twice", "if is_recent(recent, event) then return O.DUPLICATE, b.seq end", ""),
    ("a delta inside the level counts", "if is_inside(n, remembered, c[5]) then return O.INCLUDED, b.seq end", ""),
    ("a forgotten delta counts again", "if version[1] ~= BY_TIME then return not version_less(n[N_FLOOR], version) end", ""),
    ("a level forgets the deltas above it", "then number = number + item[2] else forget(recent, event) end", "then else forget(recent, event) end"),
    ("deltas below a level stay in memory", "bulk('HDEL', key, removed)", ""),
    ("a level below forgotten deltas is believed", "number = math.min(number, n[N_NUMBER])", "number = number + 0"),
    ("a cursor moves back", "if c[3] <= (b.cursors[c[2]] or 0) then return O.SETTLED, b.seq end", ""),
    ("a settled event counts again", "return c[9] > 0 and c[9] <= (b.cursors[c[8]] or 0) end", "return false end"),
    ("a measure is not compared", "if measure ~= '' and measure ~= measured then", "if false then"),
    ("a kind of version is not compared", "if c[6] ~= expected then", "if false then"),
    ("the last source takes the authority", "if not policy.listed and not b.policies.authorities[c[3]] then", "if not policy.listed then"),
)  # fmt: skip
