"""Baskets over several partitions on a real server: whole or nothing, whoever dies when, and to the last unit."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from msgspec import structs

from atp.domain.commands import (
    Change,
    Command,
    Confirm,
    PutPolicy,
    Raise,
    Release,
    Reserve,
    ReserveLine,
    Resolve,
    Transfer,
)
from atp.domain.entries import Expired
from atp.domain.exceptions import Kind
from atp.domain.ids import partition_of, reservation_id, reservation_partition
from atp.domain.outcomes import Outcome
from atp.domain.records import GRACE_MS, Reservation
from atp.domain.results import Result
from atp.ledger import (
    BasketInProgress,
    CrossPartition,
    Ledger,
    LedgerBusy,
    LedgerError,
    LedgerUnavailable,
    baskets,
)
from tests.support import patient_ledger, wait_until_async

from .books import check_conserved, check_settled, read_books
from .conftest import Opening
from .made import level

pytestmark = pytest.mark.anyio

P = 8
#: One sku per partition, and the home of {B, C, D}, which is B's, between the others.
BY_PARTITION = {partition_of(name, P): name for name in (f"sku-{n:03}" for n in reversed(range(500)))}
FIRST, LAST = BY_PARTITION[0], BY_PARTITION[7]
MIDDLE = next(name for name in (f"a-{n:03}" for n in range(500)) if partition_of(name, P) == 4)
BASKET = [LAST, MIDDLE, FIRST]  # not in the order of their partitions


def basket(key: str, *skus: str, quantity: int = 1, ttl_ms: int = 600_000, **more: object) -> Reserve:
    lines = [ReserveLine(str(n), sku, quantity) for n, sku in enumerate(skus, 1)]
    id = reservation_id("shop", key, min(skus))
    return Reserve(id, 1, "shop", "web", "", "", "", "", ttl_ms, lines, **more)  # pyright: ignore[reportArgumentType]


def change(n: int) -> Change:
    return Change(n, 1)


@contextlib.asynccontextmanager
async def sweeping(ledger: Ledger) -> AsyncIterator[None]:
    """Another process's sweeper at work."""
    stop = asyncio.Event()
    task = asyncio.create_task(ledger.sweep(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def settled(ledger: Ledger) -> None:
    """Wait until no basket and no leg is under way, then compare all partitions."""

    async def quiet() -> bool:
        return not any(any(book.loose.values()) for book in await read_books(ledger))

    await wait_until_async(quiet, 10, "legs have followed and nothing is undecided")
    check_settled(await read_books(ledger))


async def ats(ledger: Ledger, *skus: str) -> list[int]:
    return [stock.ats for stock in await ledger.availability(skus)]


@pytest.fixture
async def ledger(open_ledger: Opening, valkey: str, namespace: str) -> Ledger:
    return await open_ledger(patient_ledger(valkey, namespace, partitions=P))


@pytest.fixture
async def other(ledger: Ledger, open_ledger: Opening, valkey: str, namespace: str) -> Ledger:
    """Another process on the same ledger."""
    return await open_ledger(patient_ledger(valkey, namespace, partitions=P))


async def test_a_partition_that_lost_changes_sells_to_no_basket_until_that_is_accepted(ledger: Ledger) -> None:
    """Only that partition knows of its loss; home is well (R2)."""
    await ledger.apply([level(sku, 5) for sku in BASKET])
    told = await ledger.submit_to(0, Raise(Kind.LOSS))
    assert (await ledger.submit(basket("one", *BASKET))).outcome is Outcome.RECOVERING
    await settled(ledger)
    assert await ats(ledger, *BASKET) == [5, 5, 5]
    await ledger.submit_to(0, Resolve(Kind.LOSS, "", "", "", "", told.seq, "accept"))
    assert (await ledger.submit(basket("one", *BASKET))).outcome is Outcome.APPLIED


async def test_a_basket_lives_like_any_reservation(ledger: Ledger) -> None:
    await ledger.apply([level(sku, 5) for sku in BASKET])
    held = await ledger.submit(basket("k", *BASKET, quantity=2))
    assert held.outcome is Outcome.APPLIED
    assert held.reservation is not None
    id = held.reservation.id
    assert [(x.sku, x.requested, [(a.location, a.held) for a in x.allocations]) for x in held.reservation.lines] == [
        (sku, 2, [("DC1", 2)]) for sku in BASKET
    ]
    assert await ledger.reservation(id) == held.reservation
    assert await ats(ledger, *BASKET) == [3, 3, 3]
    again = await ledger.submit(basket("k", *BASKET, quantity=2))
    assert (again.outcome, again.reservation) == (Outcome.REPLAYED, held.reservation)
    await settled(ledger)
    confirmed = await ledger.submit(Confirm(id, change(1), "A-1", [("1", 1), ("3", 2)]))
    assert confirmed.outcome is Outcome.APPLIED
    await settled(ledger)
    assert (await ledger.submit(Release(id, change(2), "all", [("1", 1), ("3", 1)]))).outcome is Outcome.APPLIED
    await settled(ledger)
    assert await ats(ledger, *BASKET) == [4, 3, 4]
    assert (await ledger.submit(Release(id, change(3), "held", []))).outcome is Outcome.APPLIED
    await settled(ledger)
    assert await ats(ledger, *BASKET) == [4, 5, 4]
    assert (await ledger.submit(Release(id, change(4), "all", []))).outcome is Outcome.APPLIED
    await settled(ledger)
    assert await ats(ledger, *BASKET) == [5, 5, 5]


async def test_a_refusal_names_every_short_line_and_leaves_nothing(ledger: Ledger) -> None:
    await ledger.apply([level(FIRST, 1), level(MIDDLE, 5), level(LAST, 0)])
    refused = await ledger.submit(basket("k", *BASKET, quantity=2))
    assert refused.outcome is Outcome.INSUFFICIENT
    assert [(s.line, s.sku, s.available) for s in refused.shortfalls] == [(0, LAST, 0), (2, FIRST, 1)]
    check_settled(await read_books(ledger))
    again = await ledger.submit(basket("k", *BASKET, quantity=2))
    assert (again.outcome, again.replayed, again.shortfalls) == (Outcome.INSUFFICIENT, True, refused.shortfalls)
    other_body = basket("k", *BASKET)
    other_body.fingerprint = 2
    assert (await ledger.submit(other_body)).outcome is Outcome.KEY_REUSED


async def test_partial_grants_and_quotes(ledger: Ledger) -> None:
    await ledger.apply([level(FIRST, 1), level(MIDDLE, 0), level(LAST, 5)])
    quoted = await ledger.submit(basket("", *BASKET, quantity=2, allow_partial=True, dry_run=True))
    assert quoted.outcome is Outcome.QUOTED
    refused = await ledger.submit(basket("", *BASKET, quantity=2, dry_run=True))
    assert refused.outcome is Outcome.INSUFFICIENT
    assert [s.line for s in refused.shortfalls] == [1, 2]
    check_settled(await read_books(ledger))
    granted = await ledger.submit(basket("k", *BASKET, quantity=2, allow_partial=True))
    for reservation in (quoted.reservation, granted.reservation):
        assert reservation is not None
        assert [sum(a.held for a in line.allocations) for line in reservation.lines] == [2, 0, 1]
    await settled(ledger)
    nothing = await ledger.submit(basket("n", FIRST, MIDDLE, allow_partial=True))
    assert nothing.outcome is Outcome.INSUFFICIENT
    assert [s.line for s in nothing.shortfalls] == [0, 1]
    check_settled(await read_books(ledger))


async def test_what_needs_one_reading_of_several_partitions_is_refused(ledger: Ledger) -> None:
    await ledger.apply([level(sku, 5) for sku in BASKET])
    with pytest.raises(CrossPartition):
        ledger.submit(basket("k", *BASKET, allow_split=False))
    held = await ledger.submit(basket("k", *BASKET))
    assert held.reservation is not None
    with pytest.raises(CrossPartition):
        await ledger.submit(Transfer(held.reservation.id, change(1), "1", "DC1", "DC1", 1))
    moved = await ledger.submit(Transfer(held.reservation.id, change(1), "2", "DC1", "DC1", 1))
    assert moved.outcome is Outcome.APPLIED
    await settled(ledger)


async def test_a_basket_expires_at_home_and_its_legs_follow(ledger: Ledger, other: Ledger) -> None:
    await ledger.apply([level(sku, 1) for sku in BASKET])
    async with sweeping(other):
        held = await ledger.submit(basket("k", *BASKET, ttl_ms=1))
        assert held.reservation is not None
        assert await ats(ledger, *BASKET) == [0, 0, 0]

        async def free() -> bool:
            return await ats(ledger, *BASKET) == [1, 1, 1]

        await wait_until_async(free, 10, "all partitions have their unit back")
    await settled(ledger)
    home = reservation_partition(held.reservation.id, P)
    assert home is not None
    assert any(isinstance(e, Expired) for e in await ledger.read_entries(home, held.seq, 100))


async def test_a_basket_can_be_replaced(ledger: Ledger) -> None:
    await ledger.apply([level(sku, 2) for sku in BASKET])
    old = await ledger.submit(basket("old", *BASKET))
    assert old.reservation is not None
    new = await ledger.submit(basket("new", *BASKET, replaces=old.reservation.id))
    assert new.outcome is Outcome.APPLIED
    await settled(ledger)
    assert await ats(ledger, *BASKET) == [1, 1, 1]
    alone = await ledger.submit(basket("alone", MIDDLE, replaces=new.reservation.id if new.reservation else ""))
    assert alone.outcome is Outcome.APPLIED
    await settled(ledger)
    assert await ats(ledger, *BASKET) == [2, 1, 2]


LIMITS = (
    ("channel", "web", {"held_units_per_customer": 6}),
    ("campaign", "bf", {"per_customer": 4}),
    ("campaign", "bf", {"waiting_room": True}),
)


@pytest.mark.parametrize(("kind", "name", "limits"), LIMITS)
async def test_who_may_have_no_more_may_replace_a_basket(ledger: Ledger, kind: str, name: str, limits: dict) -> None:
    """R37: the old one ends with the decision, so its legs found the customer's limit reached by it."""
    await ledger.apply([level(sku, 50) for sku in BASKET])
    body: dict = {"opens": 0, "closes": 4_000_000_000_000} if name == "bf" else {}
    if body:
        body["skus"] = {sku: {"quantity": 50} for sku in BASKET}
    skus = BASKET if body else []
    await ledger.put_policy(PutPolicy(kind, name, msgspec.json.encode({**body, **limits}).decode(), skus=skus))

    def wanted(key: str, replaces: str = "") -> Reserve:
        command = basket(key, *BASKET, ttl_ms=60_000, replaces=replaces)
        command.lines[1].quantity = 4  # at home
        return structs.replace(command, customer="c-1", campaign="bf" if body else "", ticket="t" if body else "")

    old, new = wanted("old"), wanted("new", wanted("old").id)
    assert (await ledger.submit(old)).outcome is Outcome.APPLIED
    if kind == "channel" or "per_customer" in limits:
        assert (await ledger.submit(wanted("more"))).outcome is Outcome.LIMIT_EXCEEDED
    assert (await ledger.submit(new)).outcome is Outcome.APPLIED
    await settled(ledger)
    books = await read_books(ledger)
    assert [books[partition_of(sku, P)].positions[sku, "DC1"] for sku in BASKET] == [(1, 0), (4, 0), (1, 0)]


@pytest.mark.parametrize("crossing", [True, False])
async def test_64_buyers_sell_exactly_what_there_is(
    ledger: Ledger, other: Ledger, monkeypatch: pytest.MonkeyPatch, crossing: bool
) -> None:
    """Every unit is sold, none twice, and no refusal came while a basket could have been had."""
    monkeypatch.setattr(baskets, "BASKET_DEADLINE_S", 30.0)
    monkeypatch.setattr(baskets, "ATTEMPT_MS", 60_000)
    a, b, c = BASKET
    stock = 60  # 64 buyers of 12 baskets ask for far more
    await ledger.apply([level(sku, stock) for sku in BASKET])
    kinds = [(a, b), (b, a)] if crossing else [(a, b, c), (b, a), (c, b), (c, a), (a,), (b, c, a)]
    sold = dict.fromkeys(BASKET, 0)

    async def buyer(n: int) -> None:
        draw, through = random.Random(n), (ledger, other)[n % 2]
        for turn in range(12):
            skus = draw.choice(kinds)
            command = basket(f"{n}/{turn}", *skus)
            try:
                result = await through.submit(command)
            except LedgerBusy:
                continue  # swept while it waited: nothing was applied
            if result.outcome is Outcome.APPLIED:
                for sku in skus:
                    sold[sku] += 1
            else:
                assert result.outcome is Outcome.INSUFFICIENT
                if crossing:
                    return

    async with sweeping(other):
        await asyncio.gather(*(buyer(n) for n in range(64)))
        for sku in BASKET:  # what no whole basket is left for
            while (await ledger.submit(basket(f"rest {sku} {sold[sku]}", sku))).outcome is Outcome.APPLIED:
                sold[sku] += 1
                assert not crossing or sku == c, "a refusal came too early"
    await settled(ledger)
    assert sold == dict.fromkeys(BASKET, stock)
    assert await ats(ledger, *BASKET) == [0, 0, 0]


class Killed(Exception):
    """The process is gone: nothing after this happens."""


def kill(ledger: Ledger, at: int, *, answered: bool) -> list[Command]:
    """The coordinator of this process ends at its command number ``at``, sent or not; returns what it sent."""
    sent: list[Command] = []
    ask = ledger.spanning.baskets.ask

    async def dying(partition: int, command: Command, deadline: float) -> Result:
        if len(sent) > at or (len(sent) == at and not answered):
            raise Killed
        sent.append(command)
        result = await ask(partition, command, deadline)
        if len(sent) > at:
            raise Killed
        return result

    async def dead(partition: int, command: Command, deadline: float) -> Result:
        raise LedgerUnavailable("killed")

    ledger.spanning.baskets.ask = dying
    ledger.spanning.following.ask = dead
    return sent


#: Open, three legs, decide: killed before and after each.
POINTS = [(at, answered) for at in range(5) for answered in (False, True)]


@pytest.fixture
def short_attempts(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Anybody may end an attempt at once; undone, attempts last as they should."""
    monkeypatch.setattr(baskets, "ATTEMPT_MS", 1)
    return monkeypatch


async def crash(ledger: Ledger, at: int, answered: bool, ttl_ms: int = 600_000) -> bool:
    """A basket whose coordinator dies; returns whether home had decided it."""
    await ledger.apply([level(sku, 2) for sku in BASKET])
    kill(ledger, at, answered=answered)
    with pytest.raises(Killed):
        await ledger.submit(basket("k", *BASKET, ttl_ms=ttl_ms))
    check_conserved(await read_books(ledger))
    return (at, answered) == (4, True)


@pytest.mark.parametrize(("at", "answered"), POINTS)
async def test_after_a_crash_a_basket_is_whole_or_nothing(
    ledger: Ledger, other: Ledger, short_attempts: pytest.MonkeyPatch, at: int, answered: bool
) -> None:
    decided = await crash(ledger, at, answered)
    async with sweeping(other):
        await settled(other)
    assert await ats(other, *BASKET) == ([1, 1, 1] if decided else [2, 2, 2])
    again = await other.submit(basket("k", *BASKET))
    assert again.outcome is (Outcome.REPLAYED if decided else Outcome.APPLIED)
    id = basket("k", *BASKET).id
    assert (await other.submit(Confirm(id, change(1), "", []))).outcome is Outcome.APPLIED
    await settled(other)
    books = await read_books(other)
    assert all(book.positions[sku, "DC1"] == (0, 1) for book, sku in ((books[partition_of(s, P)], s) for s in BASKET))


@pytest.mark.parametrize(("at", "answered"), POINTS)
async def test_a_repeat_after_a_crash_is_decided_once(
    ledger: Ledger, other: Ledger, short_attempts: pytest.MonkeyPatch, at: int, answered: bool
) -> None:
    """The repeat comes before anybody has cleaned up."""
    decided = await crash(ledger, at, answered)
    short_attempts.undo()
    async with sweeping(other):
        again = await other.submit(basket("k", *BASKET))
        assert again.outcome is (Outcome.REPLAYED if decided else Outcome.APPLIED)
        await settled(other)
    assert await ats(other, *BASKET) == [1, 1, 1]


@pytest.mark.parametrize(("at", "answered"), [p for p in POINTS if p not in ((0, False), (4, True))])
async def test_while_an_attempt_may_still_be_decided_nobody_is_told_anything(
    ledger: Ledger, other: Ledger, monkeypatch: pytest.MonkeyPatch, at: int, answered: bool
) -> None:
    monkeypatch.setattr(baskets, "ATTEMPT_MS", 600_000)
    await crash(ledger, at, answered)
    monkeypatch.setattr(baskets, "BASKET_DEADLINE_S", 0.05)
    for _ in range(2):
        with pytest.raises(BasketInProgress):
            await other.submit(basket("k", *BASKET))
    with pytest.raises(BasketInProgress):
        await other.reservation(basket("k", *BASKET).id)
    assert (await other.submit(Confirm(basket("k", *BASKET).id, change(1), "", []))).outcome is Outcome.NOT_FOUND
    await other.spanning.following.sweep()  # its time has not come: nothing is resolved
    check_conserved(await read_books(other))


async def test_a_decision_after_the_attempt_was_ended_is_refused(
    ledger: Ledger, other: Ledger, short_attempts: pytest.MonkeyPatch
) -> None:
    """The coordinator sleeps between its last leg and its decision, and the sweeper comes first."""
    await ledger.apply([level(sku, 1) for sku in BASKET])
    ask = ledger.spanning.baskets.ask

    async def slow(partition: int, command: Command, deadline: float) -> Result:
        if isinstance(command, baskets.Decide):
            async with sweeping(other):
                await settled(other)
        return await ask(partition, command, deadline)

    ledger.spanning.baskets.ask = slow
    with pytest.raises(LedgerBusy):
        await ledger.submit(basket("k", *BASKET))
    await settled(other)
    assert await ats(other, *BASKET) == [1, 1, 1]


@pytest.mark.parametrize("at", range(4))
async def test_following_goes_on_where_a_process_died(ledger: Ledger, other: Ledger, at: int) -> None:
    """Dead before the first leg, between them, before home is told, and not at all."""
    await ledger.apply([level(sku, 2) for sku in BASKET])
    ask, asked = ledger.spanning.following.ask, 0

    async def dying(partition: int, command: Command, deadline: float) -> Result:
        nonlocal asked
        asked += 1
        if asked > at:
            raise LedgerUnavailable("killed")
        return await ask(partition, command, deadline)

    ledger.spanning.following.ask = dying
    held = await ledger.submit(basket("k", *BASKET, quantity=2))
    assert held.reservation is not None
    assert (await ledger.submit(Confirm(held.reservation.id, change(1), "", [("1", 1)]))).outcome is Outcome.APPLIED
    assert (await ledger.submit(Release(held.reservation.id, change(2), "", [("3", 1)]))).outcome is Outcome.APPLIED
    await ledger.spanning.following.close()
    check_conserved(await read_books(ledger))
    async with sweeping(other):
        await settled(other)
    assert await ats(other, *BASKET) == [0, 0, 1]


async def test_a_basket_whose_coordinator_died_after_deciding_expires_whole(
    ledger: Ledger, other: Ledger, short_attempts: pytest.MonkeyPatch
) -> None:
    assert await crash(ledger, 4, True, ttl_ms=1)
    found: Reservation | None = await other.reservation(basket("k", *BASKET).id)
    assert found is not None
    due = found.expires_at + GRACE_MS
    await wait_until_async(lambda: time.time() * 1000 > due, 10, "the hold is due")
    async with sweeping(other):

        async def free() -> bool:
            return await ats(other, *BASKET) == [2, 2, 2]

        await wait_until_async(free, 10, "all units are free again")
        await settled(other)


async def test_processes_that_die_at_random_strand_nothing(
    ledger: Ledger, other: Ledger, short_attempts: pytest.MonkeyPatch
) -> None:
    """Coordinators end anywhere while others buy: what was said to be held is held, and the rest can be sold."""
    await ledger.apply([level(sku, 30) for sku in BASKET])
    ask, draw = ledger.spanning.baskets.ask, random.Random(7)

    async def dying(partition: int, command: Command, deadline: float) -> Result:
        if draw.random() < 0.1:
            raise Killed
        result = await ask(partition, command, deadline)
        if draw.random() < 0.1:
            raise Killed
        return result

    ledger.spanning.baskets.ask = dying
    told: set[str] = set()

    async def buyer(n: int) -> None:
        for turn in range(4):
            skus = random.Random(n + turn).sample(BASKET, 2 + turn % 2)
            with contextlib.suppress(Killed, LedgerError):
                result = await (ledger, other)[n % 4 == 0].submit(basket(f"{n}/{turn}", *skus))
                if result.outcome is Outcome.APPLIED:
                    told.add(basket(f"{n}/{turn}", *skus).id)

    async with sweeping(other):
        await asyncio.gather(*(buyer(n) for n in range(24)))
        await settled(other)
    books = await read_books(other)
    held = {id for book in books for id in book.records}
    assert told <= held
    for sku in BASKET:
        while (await other.submit(basket(f"rest {sku} {time.monotonic_ns()}", sku))).outcome is Outcome.APPLIED:
            pass
    assert await ats(other, *BASKET) == [0, 0, 0]
    check_settled(await read_books(other))
