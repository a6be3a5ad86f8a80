"""Explaining from the journal: an earlier position is read as the ledger was then (DESIGN §1 P6)."""

from copy import deepcopy
from pathlib import Path
from random import Random

import asyncpg
import pytest

from atp.domain.commands import Level, PutPolicy
from atp.domain.entries import AnyEntry, LedgerOpened
from atp.domain.explain import SkuReading, explain, open_stock
from atp.domain.ids import reservation_id
from atp.domain.records import Asked, Reservation
from atp.journal import Journal, NotJournaled
from tests.scenarios import drawing
from tests.scenarios.laws import START_MS, RulesLaw, records_in
from tests.scenarios.readings import reading_of
from tests.scenarios.table import Table
from tests.scenarios.world import LOCATION_BODIES, LOCATIONS

pytestmark = pytest.mark.anyio


class Life:
    """A random life of the reference: its entries, and every sku as it was after each batch."""

    def __init__(self, seed: int, batches: int) -> None:
        self.reference, self.now, self.position, self.version = RulesLaw(), START_MS, 0, 0
        self.skus = ["sku-a", "sku-b", "sku-c", "sku-d"]
        self.ids = [reservation_id("client", str(n), self.skus[0]) for n in range(20)]
        self.entries: list[AnyEntry] = [LedgerOpened(1, START_MS, "", "", 1, 1, 1)]
        self.journaled: dict[str, Reservation] = {}  # random confirms may bring the journal's record along
        self.readings: dict[int, dict[str, SkuReading]] = {}
        draw = Random(seed)
        self.batch([PutPolicy("location", at, LOCATION_BODIES[i % 2]) for i, at in enumerate(LOCATIONS[:3])])
        self.batch([Level(s, at, "wms", 20, "sequence", (0, 0), "", 0, 0) for s in self.skus for at in LOCATIONS[:3]])
        for _ in range(batches):
            self.now += draw.choice([0, 1, 900, 4_000])
            self.batch([drawing.command(self, draw) for _ in range(draw.randrange(24))])

    def batch(self, commands: list) -> None:
        found = self.reference.apply(commands, self.now)[1]
        self.entries += found
        self.journaled |= {record.id: deepcopy(record) for record in records_in(found)}
        state = self.reference.state
        self.readings[state.seq] = {
            sku: reading_of(self.reference, sku, Asked(), self.now) for sku in [*self.skus, "never heard of"]
        }


async def journaled(journal: Journal, life: Life, seed: int) -> None:
    """The life's entries, in batches that have nothing to do with those of the ledger."""
    draw, entries, after = Random(seed), life.entries, 0
    claim = await journal.claim(0, "me")
    while entries:
        part, entries = entries[: (size := draw.randint(1, 60))], entries[size:]
        await journal.append(0, after, part, claim.fence)
        after = part[-1].seq


@pytest.mark.parametrize("seed", range(3))
async def test_every_earlier_position_reads_as_it_was(journal: Journal, seed: int) -> None:
    life = Life(seed, batches=40)
    await journaled(journal, life, seed)
    for seq, readings in life.readings.items():
        for sku, expected in readings.items():
            found = await journal.explanation(0, seq, sku)
            assert found.policy_version == expected.policy_version
            for at in [*found.locations, *expected.locations]:
                at.balance.included = at.promised_later = 0  # only the ledger knows them at any time
            opened = [open_stock(at) for at in expected.locations]
            terms = explain(found, Asked()).terms
            assert [term.quantity for term in terms if term.term == "location"] == opened
            for at, known in zip(found.locations, expected.locations, strict=True):
                assert (at.active, at.on_fallback) == (known.active, known.on_fallback)
                assert at.on_fallback or (at.balance, at.selling) == (known.balance, known.selling)
                assert (at.policy_version, at.policy) == (known.policy_version, known.policy)
                assert facts(at.sources) == facts(known.sources)


@pytest.mark.parametrize("seed", range(3))
async def test_terms_re_add_at_every_single_entry(journal: Journal, seed: int) -> None:
    life = Life(seed + 10, batches=10)
    await journaled(journal, life, seed)
    for seq in range(1, life.entries[-1].seq + 1):
        found = explain(await journal.explanation(0, seq, life.skus[0]), Asked())
        assert found.ats == sum(term.quantity for term in found.terms)
        for at in found.locations:
            assert at.free == sum(term.quantity for term in at.terms)
            assert at.ats == at.free + sum(limit.quantity for limit in at.limits)


async def test_entries_from_before_the_table_are_found_by_it(journal: Journal, connection: asyncpg.Connection) -> None:
    """The migration of a journal that already has entries leaves the same as writing them anew would."""
    life = Life(20, batches=15)
    await journaled(journal, life, 20)
    found = [await journal.explanation(0, seq, life.skus[0]) for seq in life.readings]
    await connection.execute("delete from position_changes")
    await connection.execute(backfill())
    assert await connection.fetchval("select count(*) from position_changes where after <> seq - 1") == 0
    assert [await journal.explanation(0, seq, life.skus[0]) for seq in life.readings] == found


def backfill() -> str:
    """The statement that the migration runs for what is already journaled; bodies were jsonb then."""
    text = (Path(__file__).parents[3] / "migrations/20261121130000_position_changes.sql").read_text()
    return text[text.index("insert into") : text.index("-- migrate:down")].replace("e.body", "e.body::jsonb")


async def test_what_the_journal_does_not_have_is_said(journal: Journal) -> None:
    with pytest.raises(NotJournaled, match="ends at 0"):
        await journal.explanation(0, 1, "A")
    life = Life(0, batches=1)
    await journaled(journal, life, 0)
    with pytest.raises(NotJournaled, match=f"ends at {life.entries[-1].seq}"):
        await journal.explanation(0, life.entries[-1].seq + 1, "A")


def facts(sources: list) -> list[tuple]:
    """What both know; the lag of a source and forgotten deltas are the ledger's alone."""
    told = [s for s in sources if s.has_level or s.number or s.deltas]  # not only of what cannot be sold
    return sorted((s.source, s.version_kind, s.number, s.has_level, tuple(s.version), s.deltas) for s in told)


async def test_both_sides_of_a_fallback_and_of_a_cut_over_are_told_afterwards(journal: Journal) -> None:
    """An earlier position shows which number was sold, and what the other source said."""
    law = RulesLaw()
    table = Table(law)
    table.entries.append(LedgerOpened(1, START_MS, "", "", 1, 1, 1))
    table.run(
        """
        source erp {"kind":"erp","stale_after_seconds":60}
        location DC1 {"kind":"store","sources":[{"source":"erp","role":"authority"},{"source":"wms","role":"fallback"}]}
        heartbeat erp
        level A@DC1 10 v1 by erp
        level A@DC1 7 v1 by wms
        """
    )
    before = law.state.seq
    table.run("wait 70\nreserve r1 A:2")
    during = law.state.seq
    table.run("level A@DC1 12 v2 by erp")
    after = law.state.seq
    roles = '{"source":"wms","role":"authority"},{"source":"erp","role":"shadow"}'
    table.run('cutover DC1 wms {"kind":"store","sources":[' + roles + "]}")
    claim = await journal.claim(0, "me")
    await journal.append(0, 0, table.entries, claim.fence)
    found = {}
    for seq in (before, during, after, law.state.seq):
        (at,) = explain(await journal.explanation(0, seq, "A"), Asked()).locations
        (other,) = at.other_sources
        said = (at.terms[0].source, at.free), (other.source, other.role, other.free)
        found[seq] = (*said, at.on_fallback)
    assert list(found.values()) == [
        (("erp", 10), ("wms", "fallback", 7), False),
        (("wms", 5), ("erp", "authority", 8), True),
        (("erp", 10), ("wms", "fallback", 5), False),
        (("wms", 5), ("erp", "shadow", 10), False),
    ]
