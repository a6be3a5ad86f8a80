"""Scenarios that only a planted bug brought to light (``test_mutants``)."""

import pytest

from tests.scenarios.table import Table

TABLES = {
    "three lines of one sku are summed": """
        level A@DC1 10 v1
        reserve r1 A:4 A:4 A:4 -> INSUFFICIENT
        reserve r2 A:4@DC1 A:4@DC1 A:4@DC1 -> INSUFFICIENT
        reserve r3 A:4 A:3 A:3
        = A@DC1 0 10 0
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_edge(table: Table, name: str) -> None:
    table.run(TABLES[name])


def test_a_level_below_forgotten_deltas_never_raises_the_number(table: Table) -> None:
    """Re-based it would be 9,800 − 3,942; what is known to be lower is sold (R8)."""
    table.run("level A@DC1 10000 v1")
    commands = [table.command("delta", ["A@DC1", "-1", f"v{n}", f"e{n}"]) for n in range(2, 4_200)]
    for start in range(0, len(commands), 500):
        table.law.apply(commands[start : start + 500], table.now)
    table.run("= A@DC1 5802 0 0\nlevel A@DC1 9800 v3\n= A@DC1 5802 0 0")
