"""Level ``replica`` (D2, R6): what is acknowledged is on two disks, and a promotion begins a new epoch."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atp.dev.valkey import Valkey
from atp.domain.entries import LedgerOpened
from atp.domain.outcomes import Outcome
from atp.ledger import (
    Ledger,
    LedgerError,
    LedgerRecovering,
    LedgerSettings,
    LedgerUnavailable,
    OutcomeUnknown,
)
from atp.ledger.promotion import EPOCH_GAP, look, promote
from tests.support import hurried, patient_ledger, wait_until_async
from tests.wires import wire_to

from .conftest import Opening
from .made import level, reserve
from .pair import Pair, ask, paired, require_replica

pytestmark = pytest.mark.anyio

QUICK: dict[str, Any] = {"batch_timeout_s": 0.1, "command_deadline_s": 0.4}
#: Time for an answer on a machine that stands still, and for the replica that does not confirm it.
SHORT = {"batch_timeout_s": 2.5, "command_deadline_s": 2.5}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with paired(tmp_path) as pair:
        yield pair


def settings(server: Valkey, process: str = "", door: int = 0, **limits: Any) -> LedgerSettings:
    url = server.url.replace(f":{server.port}/", f":{door or server.port}/")
    return patient_ledger(url, process=process, durability="replica", **limits)


async def patiently(opening: Opening, primary: Valkey, *wanted: LedgerSettings) -> list[Ledger]:
    """Open ledgers, and let the server miss its replica no more: it would when all stand still for two seconds."""
    ledgers: list[Ledger] = []

    async def is_done() -> bool:
        try:
            ledgers[:] = [await opening(each) for each in wanted]
        except LedgerUnavailable:
            return False
        return True

    await wait_until_async(is_done, 30, "the primary has its replica")
    await ask(primary, "CONFIG", "SET", "min-replicas-max-lag", 600)
    return ledgers


async def held(ledger: Ledger) -> int:
    return (await ledger.availability(["A"]))[0].locations[0].balance.held


async def settled(ledger: Ledger, key: str) -> Outcome:
    """What a buyer gets who repeats the request until it is answered."""
    outcomes: list[Outcome] = []

    async def answered() -> bool:
        try:
            outcomes.append((await ledger.submit(reserve(key))).outcome)
        except (LedgerUnavailable, LedgerRecovering, OutcomeUnknown):
            return False
        return True

    await wait_until_async(answered, 30, "the ledger serves again")
    return outcomes[0]


async def test_no_process_repeats_what_no_replica_has(open_ledger: Opening, pair: Pair) -> None:
    """R6: a wait covers the writes of its own connection only; a replay on another must not be told either."""
    first, second = await patiently(
        open_ledger, pair.primary, settings(pair.primary, "p1"), settings(pair.primary, "p2")
    )
    await first.apply([level("A", 10)])
    pair.wire.freeze()
    with hurried(first, **SHORT), hurried(second, **SHORT):
        with pytest.raises(OutcomeUnknown, match="no replica"):
            await first.submit(reserve("r"))
        assert await held(first) == 1  # it was applied, and may still be lost
        with pytest.raises(OutcomeUnknown, match="no replica"):
            await second.submit(reserve("r"))
        with pytest.raises(LedgerUnavailable):
            second.submit(reserve("newcomer"))  # not sent: units must not pile up behind a replica that is away
        with pytest.raises(LedgerUnavailable):
            await first.read_entries(0, 0, 10)  # nor may journal or events know of it
    pair.wire.thaw()
    assert await settled(second, "r") is Outcome.REPLAYED
    assert await settled(first, "newcomer") is Outcome.APPLIED
    assert await held(first) == 2
    assert len(await first.read_entries(0, 0, 100)) > 0


@pytest.mark.soak
async def test_without_its_replica_the_ledger_refuses_before_it_executes(open_ledger: Opening, pair: Pair) -> None:
    ledger = await open_ledger(settings(pair.primary))
    await ledger.apply([level("A", 10)])
    pair.replica.kill()

    async def refused() -> bool:
        try:
            await ledger.submit(reserve("asked"))
        except (LedgerUnavailable, OutcomeUnknown) as problem:
            return "NOREPLICAS" in str(problem)
        return False

    with hurried(ledger, **QUICK):
        await wait_until_async(refused, 10, "the primary misses its replica")
        before = await ask(pair.primary, "HGET", "{atp:0}:meta", "seq")
        for _ in range(5):
            with pytest.raises(LedgerUnavailable):
                await ledger.submit(reserve("refused"))
    assert await ask(pair.primary, "HGET", "{atp:0}:meta", "seq") == before
    assert await ledger.reservation(reserve("refused").id) is None
    pair.replica.start()
    await require_replica(pair.replica)
    await pair.follow(pair.replica, pair.primary, pair.wire.port)
    assert await settled(ledger, "refused") is Outcome.APPLIED


async def test_a_killed_primary_loses_nothing_acknowledged(open_ledger: Opening, pair: Pair) -> None:
    acknowledged: list[str] = []
    unknown: list[str] = []

    async def buyer(name: int) -> None:
        for n in range(100_000):
            try:
                await ledger.submit(reserve(f"{name}.{n}"))
                acknowledged.append(f"{name}.{n}")
            except OutcomeUnknown:
                unknown.append(f"{name}.{n}")
            except LedgerUnavailable:
                return

    async with wire_to(pair.primary.port) as door:  # what a name or an address that moves is elsewhere
        (ledger,) = await patiently(
            open_ledger, pair.primary, settings(pair.primary, door=door.port, command_deadline_s=3)
        )
        await ledger.apply([level("A", 100_000)])
        buyers = [asyncio.create_task(buyer(name)) for name in range(20)]
        await wait_until_async(lambda: len(acknowledged) > 300, 30, "sales go on")
        pair.primary.kill()
        await asyncio.gather(*buyers)
        assert (await look(pair.replica.url, "atp", "replica")).replica
        (begun,) = (await promote(pair.replica.url, "atp", {})).begun
        assert (begun.epoch, begun.seq) == (2, begun.ended + EPOCH_GAP)
        with pytest.raises(LedgerUnavailable, match="NOREPLICAS"):  # one disk is not what was promised
            await open_ledger(settings(pair.replica, **QUICK))
        pair.primary.start()
        await pair.follow(pair.primary, pair.replica)

        door.target = pair.replica.port
        door.cut()
        for key in unknown:  # the process that lived through it takes the new epoch and goes on
            assert await settled(ledger, key) in (Outcome.APPLIED, Outcome.REPLAYED)
        for key in acknowledged:
            assert await ledger.reservation(reserve(key).id) is not None
        assert await settled(ledger, "after") is Outcome.APPLIED
        assert await held(ledger) == len(acknowledged) + len(unknown) + 1
        opened = [e for e in await ledger.read_entries(0, 0, 100_000) if isinstance(e, LedgerOpened)]
        assert [(e.epoch, e.seq) for e in opened] == [(1, 1), (2, begun.seq)]
        await ledger.close()


@pytest.mark.soak
async def test_an_isolated_old_primary_acknowledges_nothing(open_ledger: Opening, pair: Pair) -> None:
    old = await open_ledger(settings(pair.primary, command_deadline_s=0.4))
    await old.apply([level("A", 1_000)])
    pair.wire.freeze()
    told = 0
    for n in range(6):
        try:
            with hurried(old, **QUICK):
                await old.submit(reserve(f"before {n}"))
            told += 1
        except (LedgerUnavailable, OutcomeUnknown):
            continue
    await promote(pair.replica.url, "atp", {})
    pair.wire.thaw()
    for n in range(6):
        try:
            await old.submit(reserve(f"after {n}"))
            told += 1
        except (LedgerUnavailable, OutcomeUnknown):
            await asyncio.sleep(0.05)
    assert told == 0
    # It joins as a replica of the new one, and what it had alone is gone.
    await pair.follow(pair.primary, pair.replica)
    with pytest.raises(LedgerError):
        await old.submit(reserve("there"))
    new = await open_ledger(settings(pair.replica))
    assert await held(new) == 0
    assert (await new.submit(reserve("here"))).outcome is Outcome.APPLIED


async def test_only_an_epoch_begun_by_promotion_opens_a_replica(open_ledger: Opening, pair: Pair) -> None:
    (ledger,) = await patiently(open_ledger, pair.primary, settings(pair.primary))
    seq = (await ledger.heads())[0].seq
    await ask(pair.replica, "REPLICAOF", "NO", "ONE")
    with pytest.raises(LedgerRecovering, match="atp promote"):  # made primary by another hand
        await open_ledger(settings(pair.replica))
    assert not (await look(pair.replica.url, "atp", "replica")).replica
    behind = await promote(pair.replica.url, "atp", {0: seq + 3})
    assert (behind.begun, behind.missing) == ([], [(0, seq, seq + 3)])  # the journal has what it lacks
    with pytest.raises(LedgerRecovering):
        await open_ledger(settings(pair.replica))
    assert [begun.epoch for begun in (await promote(pair.replica.url, "atp", {0: seq})).begun] == [2]
    assert (await promote(pair.replica.url, "atp", {0: seq})).begun == []  # as a hook that runs twice
    await pair.follow(pair.primary, pair.replica)
    (ledger,) = await patiently(open_ledger, pair.replica, settings(pair.replica))
    assert (await ledger.apply([level("A", 1)]))[0].outcome is Outcome.APPLIED


@pytest.mark.soak
async def test_a_restarted_primary_goes_on(open_ledger: Opening, pair: Pair) -> None:
    """Its replication id is a new one: only a promotion ends an epoch."""
    ledger = await open_ledger(settings(pair.primary))
    await ledger.apply([level("A", 10)])
    pair.primary.kill()
    pair.primary.start()
    await require_replica(pair.primary)
    await pair.follow(pair.replica, pair.primary, pair.wire.port)
    assert await settled(ledger, "r") is Outcome.APPLIED
