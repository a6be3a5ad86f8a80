"""Baselines are there when they are complete; what the journal lost is said wherever it would be missed (R20)."""

import pytest

from atp.domain.entries import EntriesMissing
from atp.journal import Journal, JournalGap, NotJournaled
from tests.rooms.journal.made import AT, balance, held, level, opened, released

pytestmark = pytest.mark.anyio


async def made(journal: Journal, seq: int, *pages: bytes) -> None:
    await journal.baselines.begin(0, seq, 1, AT, live=False)
    for number, page in enumerate(pages):
        await journal.baselines.write(0, seq, number, page)


async def test_one_counts_when_it_is_finished_and_two_are_kept(journal: Journal) -> None:
    await made(journal, 5, b"a", b"b")
    assert await journal.baselines.newest(0) is None
    await journal.baselines.finish(0, 5)
    newest = await journal.baselines.newest(0)
    assert newest is not None
    assert (newest.seq, newest.epoch, newest.at, newest.live) == (5, 1, AT, False)
    assert [page async for page in journal.baselines.pages(newest)] == [b"a", b"b"]

    await made(journal, 9, b"c")  # left behind by somebody who died
    for seq in (7, 8):
        await made(journal, seq, b"d")
        await journal.baselines.finish(0, seq)
    assert [page async for page in journal.baselines.pages(newest)] == []
    newest = await journal.baselines.newest(0)
    assert newest is not None
    assert newest.seq == 8
    assert await journal.baselines.newest(1) is None


async def test_one_process_at_a_time_makes_one(journal: Journal) -> None:
    async with journal.baselines.making(0) as mine, journal.baselines.making(0) as other:
        assert (mine, other) == (True, False)
    async with journal.baselines.making(0) as again:
        assert again


async def test_a_hole_is_told_by_history_and_by_explanations_that_would_need_it(journal: Journal) -> None:
    claim = await journal.claim(0, "a")
    told = level(2, 10)
    told.balances = [balance(0)]
    before = [opened(), told, held(3, "r")]
    await journal.append(0, 0, before, claim.fence)
    gone = EntriesMissing(6, AT, "", "", 3)
    after = released(7, "r", 3)
    with pytest.raises(JournalGap):
        await journal.append(0, 3, [after], claim.fence)
    await journal.append(0, 3, [gone, after], claim.fence)
    assert await journal.history("r") == [before[2], gone, after]
    told = await journal.about(0, "r", ["released"], after=None, limit=10)
    assert [(each.kind, each.entry.seq) for each in told] == [("released", 7), ("entries-missing", 6)]
    assert await journal.about(0, "nobody", [], after=None, limit=10) == []
    assert await journal.missing_after(0, 3) == gone
    assert await journal.missing_after(0, 6) is None
    assert (await journal.explanation(0, 3, "TSHIRT")).locations
    with pytest.raises(NotJournaled, match="does not have the entry 5"):
        await journal.explanation(0, 5, "TSHIRT")
    with pytest.raises(NotJournaled, match="lost the entries from 4 to 6"):
        await journal.explanation(0, 6, "TSHIRT")
    assert (await journal.explanation(0, 7, "TSHIRT")).locations  # told of again behind the hole


async def test_a_hole_is_an_exception_once(journal: Journal) -> None:
    for _ in range(2):
        await journal.raise_gap(0, "entries 4 to 6 are not in the journal")
    (found,) = await journal.exceptions("journal-gap", open=True)
    assert (found.seq, found.detail) == (None, '{"detail": "entries 4 to 6 are not in the journal"}')
