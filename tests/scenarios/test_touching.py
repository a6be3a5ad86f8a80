"""Touches on both laws: a number that is known to be another one, until a level that is new enough (R39)."""

from itertools import permutations

import pytest

from atp.domain.records import Asked
from atp.domain.source_entries import Touched
from atp.ledger import wire
from tests.scenarios.laws import RulesLaw
from tests.scenarios.readings import reading_of
from tests.scenarios.table import Table

TABLES = {
    "a number is old until a level at or above the touch's version": """
        level A@DC1 10 v1
        touch A@DC1 v5
        old A@DC1 wms v5
        = A@DC1 10 0 0
        touch A@DC1 v5 -> INCLUDED
        touch A@DC1 v4 -> INCLUDED
        level A@DC1 9 v4
        old A@DC1 wms v5
        level A@DC1 8 v5
        old A@DC1 wms no
        touch A@DC1 v5 -> INCLUDED
        touch A@DC1 v6
        level A@DC1 7 v9
        old A@DC1 wms no
    """,
    "without a location it speaks of all that the source counts": """
        level A@DC1 10 v1
        level A@DC2 10 v6
        level A@S1 10 v1 by erp
        touch A v5
        old A@DC1 wms v5
        old A@DC2 wms no
        old A@S1 erp no
    """,
    "without a version any newer level answers it": """
        level A@DC1 10 v7
        touch A@DC1
        old A@DC1 wms v8
        touch A@DC1 -> INCLUDED
        level A@DC1 10 v8
        old A@DC1 wms no
    """,
    "a version of the other kind orders nothing": """
        level A@DC1 10 v7
        touch A@DC1 v3 time
        old A@DC1 wms v8
    """,
    "what nobody has counted yet is told all the same": """
        touch A v1
        touch A v1
        touch A@MARS v1 -> UNKNOWN_LOCATION MARS
        cursor 7
        touch A v1 pos 7 -> SETTLED
    """,
    "a delta or a status is no answer": """
        level A@DC1 10 v1
        touch A@DC1 v2
        delta A@DC1 -1 v3 e3
        status A@DC1 1 v4
        old A@DC1 wms v2
    """,
}


@pytest.mark.parametrize("name", TABLES)
def test_touching(table: Table, name: str) -> None:
    table.run(TABLES[name])


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_touches_and_newer_levels_end_alike_in_any_order(table: Table, order: tuple[int, ...]) -> None:
    table.run("level A@DC1 10 v1")
    events = ["touch A@DC1 v3", "level A@DC1 9 v4", "touch A v6", "level A@DC1 8 v5"]
    for index in order:
        word, *rest = events[index].split()
        table.law.apply([table.command(word, rest)], table.now)
    table.run("= A@DC1 8 0 0\nold A@DC1 wms v6")


def test_an_answer_calls_it_stale_once_that_is_long_ago(table: Table) -> None:
    table.run('source wms {"kind":"wms","stale_after_seconds":60}\nlevel A@DC1 10 v1\ntouch A@DC1 v2')
    (told,) = [entry for entry in table.entries if isinstance(entry, Touched)]
    assert (told.waiting, told.source, told.version) == (["DC1"], "wms", (1, 0, 2))
    table.run("pass 30\ntouch A@DC1 v3\npass 29")
    assert _stale(table) == [False]
    table.run("pass 1")
    assert _stale(table) == [True]
    table.run("level A@DC1 10 v3")
    assert _stale(table) == [False]


def _stale(table: Table) -> list[bool]:
    law = table.law
    if isinstance(law, RulesLaw):
        reading = reading_of(law, "A", Asked(), table.now)
    else:
        (reading,) = law.ask(table.now, wire.ask_explanation("A", Asked()))
    return [source.stale for at in reading.locations for source in at.listed]
