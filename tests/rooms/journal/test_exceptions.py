"""Exceptions: a row each, open until an entry ends it or a newer one on the same subject comes."""

from typing import Any

import pytest

from atp.domain.entries import AnyEntry
from atp.journal import Journal
from tests.rooms.journal.made import covered, opened, raised, resolved, short
from tests.support import asking

pytestmark = pytest.mark.anyio


async def rows_after(journal: Journal, database: str, *batches: list[AnyEntry]) -> list[tuple[Any, ...]]:
    claim = await journal.claim(0, "a")
    for batch in batches:
        await journal.append(0, batch[0].seq - 1, batch, claim.fence)
    asked = "select seq, kind, sku, resolution, resolved_by, reason from exceptions order by seq"
    async with asking(database) as connection:
        return [tuple(row) for row in await connection.fetch(asked)]


async def test_one_that_is_resolved_says_by_whom_and_why(journal: Journal, migrated: str) -> None:
    found = await rows_after(
        journal, migrated, [opened(), raised(2, "drift", "A"), raised(3, "drift", "B")], [resolved(4, "drift", 2)]
    )
    assert found == [
        (2, "drift", "A", "accepted", "anna", "counted again"),
        (3, "drift", "B", None, None, None),
    ]


@pytest.mark.parametrize("together", [True, False])
async def test_a_deeper_shortage_supersedes_and_its_end_ends_it(
    journal: Journal, migrated: str, *, together: bool
) -> None:
    entries: list[AnyEntry] = [opened(), short(2, 1), short(3, 5), covered(4, 3)]
    found = await rows_after(journal, migrated, *([entries] if together else [[entry] for entry in entries]))
    assert [row[:4] for row in found] == [(2, "shortage", "TSHIRT", "superseded"), (3, "shortage", "TSHIRT", "over")]
