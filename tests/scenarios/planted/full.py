"""Full memory."""
# ruff: noqa: E501 - one line is one mutant

MUTANTS = (
    ("a full memory takes everything", "if relief and not has_room(b, c) then", "if false then"),
    ("a full memory takes new positions", "[C.LEVEL] = 'position', [C.DELTA] = 'position'", "[C.LEVEL] = true, [C.DELTA] = true"),
    ("a full memory takes no confirm", "[C.CONFIRM] = true, [C.RELEASE] = true", "[C.RELEASE] = true"),
)  # fmt: skip
