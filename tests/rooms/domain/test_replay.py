"""Replay on its own: what the scenarios do not show, and how fast it is. That it arrives at the state, they show."""

import time
from collections.abc import Iterator

import pytest

from atp.domain import replay
from atp.domain.entries import AnyEntry, Committed, Held, LevelSet, PolicyPut, Released
from atp.domain.journal_entries import EntriesMissing
from atp.domain.records import TOMBSTONE_MS, WHOLE_MS, Allocation, Balance, Line, Reservation
from atp.domain.state import State
from atp.ledger import records

AT = 4_000_000_000_000
PLACES = 10


def opening() -> list[AnyEntry]:
    body = '{"sources":[{"source":"wms","role":"authority"}]}'
    return [PolicyPut(n + 1, AT, "", "", "location", f"L{n}", body, n + 1, []) for n in range(PLACES)]


def levels(first: int, count: int) -> Iterator[LevelSet]:
    for n in range(count):
        sku, at = f"sku-{n // PLACES}", f"L{n % PLACES}"
        balances = [Balance(sku, at, 100, 0, 0, 0, 0)]
        version = (1, 0, n)
        yield LevelSet(first + n, AT + n, "", "", sku, at, "wms", 100, 100, version, "S", n, AT, balances)


def held(seq: int, n: int, units: int = 1) -> Held:
    sku, at = f"sku-{n // PLACES}", f"L{n % PLACES}"
    return Held(seq, AT + n, "shop", "", record(seq, seq, n, held=units), [Balance(sku, at, 100, 0, 0, units, 0)])


def record(seq: int, first: int, n: int, held: int = 0, committed: int = 0, released: int = 0) -> Reservation:
    a = Allocation(f"L{n % PLACES}", "", held, committed, released=released)
    lines = [Line("1", f"sku-{n // PLACES}", 1, [a])]
    return Reservation(
        f"abc{n:016d}", AT, AT + 600_000, seq, first, 1, "shop", "web", "", f"order-{n}", "", "", lines, []
    )


def ended(state: State, seq: int, n: int) -> Released:
    first = state.reservations[f"{n:016d}"].first_seq
    balances = [Balance(f"sku-{n // PLACES}", f"L{n % PLACES}", 100, 0, 0, 0, 0)]
    return Released(seq, AT, "shop", "", record(seq, first, n, released=1), balances, "")


def test_what_ended_is_cut_down_as_retention_would_have_done() -> None:
    state = State()
    replay.replay(state, [*opening(), *levels(11, 20), held(31, 0), held(32, 11)])
    replay.replay(state, [ended(state, 33, 0), ended(state, 34, 11)])
    replay.settle(state, AT + WHOLE_MS)
    assert len(state.reservations) == 2, "the journal may not have them"
    state.trimmed = 33
    replay.settle(state, AT + WHOLE_MS)
    assert list(state.tombstones) == [f"{0:016d}"]
    assert list(state.orders) == ["order-11"]
    state.trimmed = 34
    replay.settle(state, AT + TOMBSTONE_MS - 1)
    assert len(state.tombstones) == 2
    assert not state.orders
    replay.settle(state, AT + TOMBSTONE_MS)
    assert not state.tombstones
    assert not state.buried


def test_an_id_that_is_used_again_replaces_what_was_not_cut_down_yet() -> None:
    """The journal is replayed without a clock: what retention had removed is found out by what came then."""
    state = State()
    replay.replay(state, [*opening(), *levels(11, 20), held(31, 0)])
    replay.replay(state, [ended(state, 32, 0)])
    again = held(33, 0)
    again.reservation.order_ref = "another"
    replay.apply(state, again)
    assert list(state.orders) == ["another"]
    assert state.reservations[f"{0:016d}"].first_seq == 33
    replay.settle(state, AT + WHOLE_MS)
    assert f"{0:016d}" in state.reservations, "what ended was the one before"


def test_a_record_that_comes_back_from_the_journal_is_whole_again() -> None:
    state = State(trimmed=40)
    replay.replay(state, [*opening(), *levels(11, 20), held(31, 0)])
    replay.replay(state, [ended(state, 32, 0)])
    replay.settle(state, AT + WHOLE_MS)
    assert state.tombstones
    assert not state.reservations
    back = Committed(33, AT, "shop", "", record(33, 31, 0, committed=1), [Balance("sku-0", "L0", 100, 0, 0, 0, 1)])
    replay.apply(state, back)
    assert state.reservations
    assert not state.tombstones
    assert state.skus["sku-0"].positions["L0"].committed == 1


def test_a_hole_in_the_journal_is_not_passed_over() -> None:
    state = State()
    with pytest.raises(replay.EntriesLost, match="entries 6 to 9 are missing"):
        replay.replay(state, [*opening()[:5], EntriesMissing(9, AT, "", "", 5)])
    assert state.seq == 9


@pytest.mark.soak
def test_a_million_levels_and_a_million_holds_are_replayed_and_encoded_in_half_a_minute() -> None:
    count, state = 1_000_000, State()
    began = time.process_time()
    replay.replay(state, opening())
    replay.replay(state, levels(PLACES + 1, count))
    replay.replay(state, (held(PLACES + 1 + count + n, n) for n in range(count)))
    pages = sum(1 for _ in records.encode(state))
    assert pages > 2 * count // 1_000
    assert time.process_time() - began < 30
