"""A ledger that is stored anew from its entries is the ledger: random lives go on in it as if nothing had been (C7).

At any moment of a life all of the partition is removed, and what the entries say is stored in its place: all of them,
or those behind a baseline, of which only what they speak of is decoded. From then on it must go on giving the
reference's answers, entries and state.
"""

import asyncio
from collections.abc import Sequence
from copy import deepcopy

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from atp.domain.entries import AnyEntry
from atp.domain.state import State
from atp.ledger import keys, records
from atp.ledger.records import decoding, reading
from tests.scenarios import test_random
from tests.scenarios.plain import plain
from tests.scenarios.replaying import Replayed

#: What no entry brings back (``atp.domain.replay``), and what answers and entries of a life depend on.
GAUGES = (
    "last_now", "trimmed", "apart", "next_silence", "silence_from", "refused", "refused_before", "refused_since",
    "moved", "adjusted",
)  # fmt: skip
GAUGES_OF_SOURCE = ("lag_ms", "last_heard", "older")


def with_gauges(replayed: State, live: State) -> State:
    """The replayed state, with the gauges of the live one."""
    state = deepcopy(replayed)
    for name in GAUGES:
        setattr(state, name, deepcopy(getattr(live, name)))
    for id, source in live.sources.items():
        for name in GAUGES_OF_SOURCE:
            setattr(state.sources[id], name, getattr(source, name))
    return state


class Remembering(Replayed):
    """The reference's replay, which remembers what it was told."""

    def __init__(self, begin: State) -> None:
        super().__init__(begin)
        self.told: list[tuple[Sequence[AnyEntry], int, int]] = []

    def follow(self, entries: Sequence[AnyEntry], now: int, trimmed: int) -> None:
        super().follow(entries, now, trimmed)
        self.told.append((entries, now, trimmed))


class Rebuilt(test_random.LawsAgree):
    """Makes the ledger anew now and then."""

    rebuilt = 0
    untouched = 0  # records that rebuilds from a baseline did not decode
    pages: Sequence[records.Page] = ()

    @rule(baseline=st.sampled_from(["", "of the ledger", "of entries"]))
    def rebuild(self, baseline: str) -> None:
        Rebuilt.rebuilt += 1
        state = with_gauges(self.reference.replayed.state, self.reference.state)
        pages = list(records.encode(state))
        assert pages[-1].key == "meta", "without it there is no ledger"
        decoded = records.decode(pages)
        assert plain(decoded) == plain(state)
        assert plain(records.decode(records.encode(decoded))) == plain(state)
        self.lua.restore(with_gauges(self.resumed(), self.reference.state) if self.pages else state)
        assert self.lua.dump() == self.reference.dump()
        if baseline:
            self.pages = self.lua.pages() if baseline == "of the ledger" else pages
            self.reference.replayed = self.later = Remembering(self.reference.replayed.state)

    def resumed(self) -> State:
        """The baseline, and what was told since."""
        decoding = records.LazyDecoding()
        for page in self.pages:
            decoding.take(page)
        replayed = Replayed(State())
        replayed.state = decoding.finish()
        for step in self.later.told:
            replayed.follow(*step)
        Rebuilt.untouched += len(decoding.stock.stored) + len(decoding.reservations.stored)
        return replayed.state


def run(url: str, loop: asyncio.AbstractEventLoop, partitions: int, examples: int) -> None:
    Rebuilt.rebuilt = Rebuilt.untouched = 0
    test_random.run(url, loop, partitions, examples, Rebuilt)
    assert min(Rebuilt.rebuilt, Rebuilt.untouched) > examples // 2, "lives in which nothing was rebuilt show nothing"


@pytest.mark.parametrize("partitions", [1, 8])
def test_a_life_goes_on_in_a_rebuilt_ledger(valkey: str, loop: asyncio.AbstractEventLoop, partitions: int) -> None:
    run(valkey, loop, partitions, examples=40)


@pytest.mark.soak
@pytest.mark.parametrize("partitions", [1, 8])
def test_a_life_goes_on_in_a_rebuilt_ledger_for_long(
    valkey: str, loop: asyncio.AbstractEventLoop, partitions: int
) -> None:
    run(valkey, loop, partitions, examples=600)


def test_records_that_contradict_each_other_are_no_state() -> None:
    state = State(seq=7)
    state.exceptions["drift\x1fA\x1f\x1f\x1f"] = 5
    pages = [page for page in records.encode(state) if page.key != "exception"]
    with pytest.raises(records.RecordsCorrupt, match="counts 1 exceptions, there are 0"):
        records.decode(pages)
    with pytest.raises(records.RecordsCorrupt, match="no ledger"):
        records.decode([])
    with pytest.raises(records.RecordsCorrupt, match="no such key"):
        records.decode([records.Page("unheard", "hash", [])])


def test_every_key_is_decoded_or_no_state() -> None:
    """A new key that nobody thought of would make every baseline of a living ledger unreadable."""
    kinds = {key.pattern.partition(":")[0] for key in keys.TABLE}
    assert kinds - reading.LEFT_OUT == set(decoding.TAKE)
    assert kinds >= reading.LEFT_OUT
