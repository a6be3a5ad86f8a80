"""Outcome unknown (P3, R5): what happens when the server is stopped, killed, or is not the one that was known."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest

from atp.dev.valkey import Valkey
from atp.domain.commands import PutPolicy, Raise, Resolve
from atp.domain.entries import ExceptionResolved, PolicyPut
from atp.domain.outcomes import Outcome
from atp.domain.records import Reservation
from atp.domain.results import Result
from atp.ledger import (
    Ledger,
    LedgerRecovering,
    LedgerUnavailable,
    LedgerUnfit,
    OutcomeUnknown,
    keys,
    library,
    wire,
)
from atp.ledger.connection import Connection
from tests.support import connected, hurried, patient_ledger, wait_until_async
from tests.wires import wire_to

from .conftest import Opening
from .made import level, reserve

pytestmark = pytest.mark.anyio

#: As short as these tests can wait.
QUICK = {"batch_timeout_s": 0.1, "command_deadline_s": 0.4}


async def answers_again(ledger: Ledger) -> None:
    async def served() -> bool:
        try:
            return (await ledger.submit(level("other", 1))).outcome in (Outcome.APPLIED, Outcome.STALE)
        except (LedgerUnavailable, OutcomeUnknown):
            return False

    await wait_until_async(served, 30, "the ledger serves again")


async def test_a_stopped_server_makes_the_outcome_unknown_and_the_same_id_settles_it(
    open_ledger: Opening, own_valkey: Valkey
) -> None:
    ledger = await open_ledger(patient_ledger(own_valkey.url))
    await ledger.apply([level("A", 10)])
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with hurried(ledger, **QUICK), pytest.raises(OutcomeUnknown):
            await ledger.submit(reserve("r", quantity=4))
        assert time.monotonic() - started < 5
        with pytest.raises(LedgerUnavailable):
            ledger.submit(reserve("newcomer"))
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    await answers_again(ledger)
    settled = await ledger.submit(reserve("r", quantity=4))
    assert settled.outcome in (Outcome.APPLIED, Outcome.REPLAYED)
    assert (await ledger.availability(["A"]))[0].locations[0].balance.held == 4


async def test_a_refusal_after_a_lost_answer_proves_nothing(open_ledger: Opening, own_valkey: Valkey) -> None:
    """It says that the second sending did not run; the first one did."""
    async with wire_to(own_valkey.port) as wire:
        url = own_valkey.url.replace(f":{own_valkey.port}/", f":{wire.port}/")
        ledger = await open_ledger(patient_ledger(url))
        await ledger.apply([level("A", 10)])
        server = await connected(own_valkey.url)
        before = await server.ask("HGET", keys.meta("atp", 0), "seq")
        wire.delay_s = 0.4  # longer than the batch waits

        async def applied() -> bool:
            return await server.ask("HGET", keys.meta("atp", 0), "seq") != before

        with hurried(ledger, batch_timeout_s=0.1, command_deadline_s=5):
            answer = ledger.submit(reserve("r", quantity=4))
            await wait_until_async(applied, description="the reserve is applied")
            await server.ask("REPLICAOF", "127.0.0.1", 1)
            wire.cut()  # with the answers on their way, which would come in time now
            wire.delay_s = 0
            with pytest.raises(OutcomeUnknown, match="READONLY"):
                await answer
        await server.ask("REPLICAOF", "NO", "ONE")
        await answers_again(ledger)
        assert (await ledger.submit(reserve("r", quantity=4))).outcome is Outcome.REPLAYED
        await server.end()
        await ledger.close()


async def test_what_has_no_record_is_done_once_though_its_answer_is_lost(
    open_ledger: Opening, own_valkey: Valkey
) -> None:
    """A policy is put under one version, also where that was asked for, and an exception ends by one entry."""
    async with wire_to(own_valkey.port) as wire:
        url = own_valkey.url.replace(f":{own_valkey.port}/", f":{wire.port}/")
        ledger = await open_ledger(patient_ledger(url))
        await ledger.submit(Raise("drift", "A"))
        raised = (await ledger.heads())[0].seq
        server = await connected(own_valkey.url)

        async def lost(ask: Callable[[], Awaitable[Result]]) -> Result:
            """Ask while answers come too late, until the ledger has done it."""
            before = await server.ask("HGET", keys.meta("atp", 0), "seq")
            wire.delay_s = 0.4

            async def applied() -> bool:
                return await server.ask("HGET", keys.meta("atp", 0), "seq") != before

            with hurried(ledger, batch_timeout_s=0.1):
                asked = asyncio.ensure_future(ask())
                await wait_until_async(applied, description="it is done")
                wire.cut()  # with the answer on its way, which would come in time now
                wire.delay_s = 0.0
                return await asked

        source = PutPolicy("source", "wms", '{"kind":"wms"}', if_version=0)
        put = await lost(lambda: ledger.put_policy(source))
        assert (put.outcome, put.detail) == (Outcome.REPLAYED, str(put.seq))
        policy = await ledger.policy("source", "wms")
        assert policy is not None
        assert policy.version == put.seq
        word = Resolve("drift", "A", "", "", "", raised, "accepted", "why", "me")
        resolved = await lost(lambda: ledger.submit_to(0, word))
        assert resolved.outcome is Outcome.REPLAYED
        entries = await ledger.read_entries(0, 0, 100)
        assert [entry.seq for entry in entries if isinstance(entry, PolicyPut) and entry.id == "wms"] == [put.seq]
        assert [entry.seq for entry in entries if isinstance(entry, ExceptionResolved)] == [resolved.seq]
        await server.end()
        await ledger.close()


async def test_a_short_stop_is_bridged_and_nothing_is_applied_twice(open_ledger: Opening, own_valkey: Valkey) -> None:
    ledger = await open_ledger(patient_ledger(own_valkey.url))
    await ledger.apply([level("A", 1_000)])
    waiting = []
    for n in range(5):
        os.kill(own_valkey.pid, signal.SIGSTOP)
        with hurried(ledger, batch_timeout_s=0.1):
            waiting += [ledger.submit(reserve(f"{n}.{m}")) for m in range(20)]
            await asyncio.sleep(0.25)
        os.kill(own_valkey.pid, signal.SIGCONT)
        await answers_again(ledger)
    results = await asyncio.gather(*waiting)
    assert {r.outcome for r in results} <= {Outcome.APPLIED, Outcome.REPLAYED}
    assert (await ledger.availability(["A"]))[0].locations[0].balance.held == 100
    held = [e for e in await ledger.read_entries(0, 0, 10_000) if type(e).__name__ == "Held"]
    assert len(held) == 100


async def test_killed_and_restarted_nothing_acknowledged_is_lost(open_ledger: Opening, own_valkey: Valkey) -> None:
    ledger = await open_ledger(patient_ledger(own_valkey.url))
    await ledger.apply([level("A", 100_000)])
    acknowledged: list[Reservation] = []
    unknown: list[str] = []
    stop = False

    async def buyer(name: int) -> None:
        n = 0
        while not stop:
            n += 1
            key = f"{name}.{n}"
            try:
                result = await ledger.submit(reserve(key))
                assert result.reservation is not None
                acknowledged.append(result.reservation)
            except OutcomeUnknown:
                unknown.append(key)
            except LedgerUnavailable:
                await asyncio.sleep(0.01)

    buyers = [asyncio.create_task(buyer(n)) for n in range(20)]
    for _ in range(3):
        goal = len(acknowledged) + 200
        await wait_until_async(lambda goal=goal: len(acknowledged) > goal, 30, "sales go on")
        with hurried(ledger, command_deadline_s=0.3):
            own_valkey.kill()
            own_valkey.start()
    await answers_again(ledger)
    stop = True
    await asyncio.gather(*buyers)
    for reservation in acknowledged:
        assert await ledger.reservation(reservation.id) == reservation
    for key in unknown:
        assert (await ledger.submit(reserve(key))).outcome in (Outcome.APPLIED, Outcome.REPLAYED)
    sold = len(acknowledged) + len(unknown)
    assert (await ledger.availability(["A"]))[0].locations[0].balance.held == sold


async def test_a_late_batch_of_an_older_session_is_refused_whole(
    open_ledger: Opening, valkey: str, namespace: str
) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, process="p1"))
    await ledger.apply([level("A", 10)])
    connection = await connected(valkey)
    newer = wire.Header(1, "p1", 5, 1, 0, 0)
    await call(connection, namespace, newer, [])
    older = wire.Header(2, "p1", 4, 1, 0, 0)
    with pytest.raises(Exception, match="FENCED 5"):
        await call(connection, namespace, older, [reserve("late")])
    assert await ledger.reservation(reserve("late").id) is None
    # The process itself was fenced by that: it raises its session and goes on.
    assert (await ledger.submit(reserve("r"))).outcome is Outcome.APPLIED
    await connection.end()


@pytest.mark.parametrize(("epoch", "seq", "code"), [(2, 0, "EPOCH"), (1, 10_000, "BEHIND")])
async def test_another_epoch_or_a_ledger_behind_what_is_known_refuses(
    ledger: Ledger, valkey: str, namespace: str, epoch: int, seq: int, code: str
) -> None:
    connection = await connected(valkey)
    with pytest.raises(Exception, match=code):
        await call(connection, namespace, wire.Header(1, "p", 1, epoch, seq, 0), [level("A", 5)])
    await connection.end()
    assert (await ledger.availability(["A"]))[0].locations == []


async def test_a_ledger_that_vanished_is_recovering_not_empty(open_ledger: Opening, own_valkey: Valkey) -> None:
    ledger = await open_ledger(patient_ledger(own_valkey.url))
    await ledger.apply([level("A", 10)])
    connection = await connected(own_valkey.url)
    await connection.ask("FLUSHALL")
    with pytest.raises(LedgerRecovering):
        await ledger.submit(reserve("r"))
    await connection.end()


@pytest.mark.parametrize("witness", [None, {0: 7}])
async def test_an_empty_ledger_is_created_only_beside_an_empty_journal(
    valkey: str, namespace: str, witness: dict[int, int] | None
) -> None:
    with pytest.raises(LedgerRecovering):
        await Ledger(patient_ledger(valkey, namespace)).open(witness)


async def test_a_ledger_behind_the_journal_is_not_opened(ledger: Ledger, valkey: str, namespace: str) -> None:
    other = Ledger(patient_ledger(valkey, namespace))
    with pytest.raises(LedgerRecovering, match="journal knows entry 500"):
        await other.open({0: 500})


async def test_the_number_of_partitions_is_fixed_at_creation(ledger: Ledger, valkey: str, namespace: str) -> None:
    with pytest.raises(LedgerUnfit, match="created with ATP_PARTITIONS=1, not 2"):
        await Ledger(patient_ledger(valkey, namespace, partitions=2)).open({})


async def test_flushed_functions_fail_no_request(ledger: Ledger, valkey: str) -> None:
    await ledger.apply([level("A", 10)])
    connection = await connected(valkey)
    await connection.ask("FUNCTION", "FLUSH")
    assert (await ledger.submit(reserve("r"))).outcome is Outcome.APPLIED
    await connection.ask("FUNCTION", "FLUSH")
    assert (await ledger.availability(["A"]))[0].ats == 9
    await connection.end()


async def test_a_full_memory_refuses_without_a_trace(open_ledger: Opening, own_valkey: Valkey) -> None:
    ledger = await open_ledger(patient_ledger(own_valkey.url))
    await ledger.apply([level("A", 10)])
    connection = await connected(own_valkey.url)
    await connection.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(LedgerUnavailable, match="refuses writes"):
        await ledger.submit(reserve("r"))
    await connection.ask("CONFIG", "SET", "maxmemory", "0")
    await answers_again(ledger)
    assert await ledger.reservation(reserve("r").id) is None
    await connection.end()


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(LedgerUnavailable) as problem:
        await Ledger(patient_ledger("redis://:secret@127.0.0.1:1/0")).open({})
    assert "127.0.0.1:1" in str(problem.value)
    assert "secret" not in str(problem.value)


async def call(connection: Connection, namespace: str, header: wire.Header, commands: list) -> bytes:
    return await connection.ask(
        "FCALL", library.function("apply"), 1, keys.meta(namespace, 0),
        wire.encode_header(header), wire.encode_commands(commands),
    )  # fmt: skip
