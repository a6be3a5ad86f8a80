"""Level ``journal`` (D3): an answer waits for PostgreSQL, and what was answered outlives the ledger."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import nats as nats_client
import pytest
from msgspec import structs

from atp.dev.valkey import Valkey
from atp.domain.outcomes import Outcome
from atp.domain.records import FORMAT
from atp.journal import migrate
from atp.ledger import Ledger, LedgerUnavailable, OutcomeUnknown
from atp.ledger.reader import Reader
from tests.rooms.outbox.room import Room, confirm, level, reserve, reserves
from tests.support import PATIENT, hurried, patient_ledger, wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
async def answering(room: Room) -> AsyncIterator[Ledger]:
    """The ledger as a process has it that answers callers."""
    ledger = Ledger(structs.replace(room.ledger_settings, durability="journal"))
    await ledger.open(await room.journal.heads())
    yield ledger
    await ledger.close()


@pytest.fixture
async def doomed(
    tmp_path: Path, nats: str, database: str, namespace: str
) -> AsyncIterator[tuple[Valkey, Room, Ledger]]:
    """A ledger on a server of its own, with ten thousand units, answering."""
    await migrate(database)
    client = await nats_client.connect(nats, pending_size=0)
    with Valkey(tmp_path) as server:
        room = Room(server.url, database, client, namespace)
        await room.open()
        await room.apply(level(10_000))
        ledger = Ledger(patient_ledger(server.url, namespace, durability="journal", command_deadline_s=3))
        await ledger.open(await room.journal.heads())
        yield server, room, ledger
        await ledger.close()
        await room.close()
    await client.close()


async def test_answers_wait_for_the_journal_and_one_commit_gives_many(room: Room, answering: Ledger) -> None:
    await room.apply(level(100))
    drainer = room.drainer()
    await drainer.run_once()
    waiting = [answering.submit(command) for command in reserves(50)]

    async def applied() -> bool:
        return answering.position(0) >= 50

    await wait_until_async(applied, description="the reserves are applied")
    assert not any(future.done() for future in waiting)
    await drainer.run_once()
    assert {result.outcome for result in await asyncio.gather(*waiting)} == {Outcome.APPLIED}
    assert (await room.journal.heads())[0] == answering.position(0)
    # A refusal and a reading promise nothing, so they do not wait.
    assert (await answering.submit(reserve("too many", 1_000))).outcome is Outcome.INSUFFICIENT
    assert (await answering.availability(["TSHIRT"]))[0].ats == 50


async def test_without_a_drainer_outcomes_are_unknown_and_the_repeat_settles_them(
    room: Room, answering: Ledger
) -> None:
    await room.apply(level(10))
    with (
        hurried(answering, command_deadline_s=0.3),
        pytest.raises(OutcomeUnknown, match="the journal did not take it in time"),
    ):
        await answering.submit(reserve("r", 3))
    with pytest.raises(LedgerUnavailable, match="the journal takes nothing"):
        answering.submit(reserve("newcomer"))  # nothing of it is applied: units do not pile up

    async def settled() -> bool:
        try:
            return (await answering.submit(reserve("r", 3))).outcome is Outcome.REPLAYED
        except (LedgerUnavailable, OutcomeUnknown):
            return False

    with hurried(answering, command_deadline_s=0.3):
        assert not await settled()  # nor is a replay told that the journal does not have
    async with room.running():
        await wait_until_async(settled, description="the journal takes entries again")
        assert (await answering.submit(confirm("r"))).outcome is Outcome.APPLIED
    assert (await answering.availability(["TSHIRT"]))[0].ats == 7


async def test_what_was_answered_outlives_the_ledger(doomed: tuple[Valkey, Room, Ledger]) -> None:
    server, room, ledger = doomed
    answered: list[str] = []

    async def buyer(name: int) -> None:
        for n in range(1_000):
            try:
                result = await ledger.submit(reserve(f"{name}.{n}"))
            except (LedgerUnavailable, OutcomeUnknown):
                return
            assert result.reservation is not None
            answered.append(result.reservation.id)

    async with room.running():
        buyers = [asyncio.create_task(buyer(name)) for name in range(10)]
        await wait_until_async(lambda: len(answered) > 100, description="sales go on")
        server.kill()
        shutil.rmtree(server.directory)
        await asyncio.gather(*buyers)
    for reservation in answered:
        assert await room.journal.reservation(reservation) is not None


async def test_a_new_epoch_is_no_proof_of_what_the_last_one_wrote(doomed: tuple[Valkey, Room, Ledger]) -> None:
    server, room, ledger = doomed
    before = ledger.batches[1]
    waiting = ledger.submit(reserve("lost"))
    await wait_until_async(lambda: ledger.batches[1] > before, description="it is applied")
    reader = Reader(server.url, room.ledger_settings.namespace, 0, PATIENT)
    await reader.command("FLUSHALL")
    await reader.call("create", 0, 1, FORMAT, 2, 2**20)  # says that all before is trimmed
    with pytest.raises(OutcomeUnknown, match="new epoch"):
        await waiting
    await reader.close()
