"""Clock jumps and outages."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("holds expire while the clocks are apart", "if b.apart then return {} end", ""),
    ("clocks a minute apart are apart", "math.abs(time - header[6]) > CLOCK.APART_MS", "math.abs(time - header[6]) >= CLOCK.APART_MS"),
    ("a sender's clock that is behind is not noticed", "math.abs(time - header[6])", "(header[6] - time)"),
    ("a clock that ran ahead stays", "apart and math.min(time, header[6]) or time, last)", "time, last)"),
    ("clocks apart are told again and again", "elseif b.told[1] == '0' and b.now", "elseif b.now"),
    ("clocks apart are told more than once a minute", "elseif b.told[1] == '0' and b.now - tonumber(b.told[2]) >= CLOCK.TOLD_MS then", "elseif b.told[1] == '0' then"),
    ("a moment is an outage", "if b.now - last <= CLOCK.OUTAGE_MS then return end", "if b.now - last <= 1000 then return end\n  last = last - 4000"),
    ("an idle ledger was away", "if not passed then return end", ""),
    ("a backlog is moved", "first_due(b, above(last), above(overdue)) ~= nil", "first_due(b, '-inf', above(overdue)) ~= nil"),
    ("a second outage is not seen by what the first moved", "passed = passed or (m[3] > last and m[3] < overdue)", "passed = passed"),
    ("a second outage leaves what the first moved", "if m[3] > last and m[3] <= b.now then m[3] = to end", ""),
    ("moved holds are due at once", "if m[3] > b.now then\n      add(m[1])", "if false then\n      add(m[1])"),
    ("moved holds are never due", "if m[3] > b.now then\n      add(m[1])", "if true then\n      add(m[1])"),
    ("a moved hold is kept with its old deadline", "r[R_EXPIRES] = deadline - GRACE_MS\n", ""),
    ("what has ended gets a new deadline", "if held == 0 then return end\n", ""),
    ("a repeat shows the old deadline", "  b.raw[identity] = pack_stored(r)\nend", "end"),
    ("the sweeper is not told of moved deadlines", "take(first_due(b, above(m[1]), m[2]) and m[3])", ""),
    ("the sweeper is told the old deadlines", "take(first_due(b, from, m[1]))", "take(first_due(b, from, m[2]))"),
    ("outages are remembered for ever", "if #left < #b.moved then", "if false then"),
)  # fmt: skip
