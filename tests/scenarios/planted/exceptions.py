"""Exceptions."""

MUTANTS = (
    (
        "an exception is raised again",
        "if raised_at(b, key) or b.exception_count >= OPEN_MAX then return false end",
        "if b.exception_count >= OPEN_MAX then return false end",
    ),
    (
        "all exceptions of a kind are one",
        "return table.concat({ kind, sku, location, source, reservation }, '\\31')",
        "return table.concat({ kind, location, source, reservation }, '\\31')",
    ),
    (
        "an exception that is over stays open",
        "b.exceptions[key], b.dirty_exceptions[key], b.exception_count = false, true, b.exception_count - 1",
        "b.exceptions[key], b.exception_count = false, b.exception_count - 1",
    ),
    (
        "an exception is resolved that is another one by now",
        "c[5], c[6])) ~= c[7] then return O.NOT_FOUND",
        "c[5], c[6])) == nil then return O.NOT_FOUND",
    ),
    (
        "open exceptions are not counted",
        "b.exceptions[key], b.dirty_exceptions[key], b.exception_count = seq, true, b.exception_count + 1",
        "b.exceptions[key], b.dirty_exceptions[key] = seq, true",
    ),
    (
        "a loss stops nothing",
        "return b.exception_count > 0 and raised_at(b, 'loss\\31\\31\\31\\31') end",
        "return false end",
    ),
    (
        "an older shortage can be accepted",
        "if not short or short[2] ~= c[7] then return O.NOT_FOUND",
        "if not short then return O.NOT_FOUND",
    ),
)
