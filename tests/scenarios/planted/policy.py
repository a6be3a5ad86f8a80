"""Policy and clock."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    (
        "a put that comes again is put again",
        "if calls.answered(b, c[10]) then return calls.answered(b, c[10]) end",
        "",
    ),
    ("an older copy takes a newer one's place", "if c[6] > 0 and c[6] <= current then", "if false then"),
    ("a policy's version is not checked", "if c[5] ~= -1 and c[5] ~= current then", "if false then"),
    ("a copy takes a version of its own", "local version, balances = c[6] > 0 and c[6] or seq, {}", "local version, balances = seq, {}"),
    ("the clock runs backward", "return math.max(apart and math.min(time, header[6]) or time, last), time", "return (apart and math.min(time, header[6]) or time), time"),
)  # fmt: skip
