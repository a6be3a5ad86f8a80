"""The batcher: what arrives together travels together, bounded, and a cancelled caller disturbs nobody."""

import asyncio
import time
from math import ceil

import pytest
from msgspec import structs

from atp.domain.outcomes import Outcome
from atp.domain.records import GRACE_MS
from atp.ledger import Ledger, LedgerBusy, LedgerError, LedgerUnavailable
from atp.ledger.pace import LINES_MIN
from tests.support import patient_ledger, wait_until_async

from .conftest import Opening
from .made import confirm, level, reserve

pytestmark = pytest.mark.anyio


async def test_commands_that_arrive_together_share_calls(ledger: Ledger) -> None:
    await ledger.apply([level("A", 1_000)])
    batches, commands = ledger.batches
    results = await asyncio.gather(*(ledger.submit(reserve(str(n))) for n in range(400)))
    assert {r.outcome for r in results} == {Outcome.APPLIED}
    assert ledger.batches[1] - commands == 400
    assert ledger.batches[0] - batches <= 1 + ceil(400 / LINES_MIN)


async def test_every_caller_gets_the_answer_to_its_own_command(ledger: Ledger) -> None:
    await ledger.apply([level("A", 1_000)])
    commands = [reserve(str(n), quantity=n % 7 + 1) for n in range(100)]
    for command, result in zip(commands, await ledger.apply(commands), strict=True):
        assert result.reservation is not None
        assert result.reservation.id == command.id
        assert result.reservation.lines[0].requested == command.lines[0].quantity


async def test_a_full_queue_refuses_at_once(open_ledger: Opening, valkey: str, namespace: str) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, queue_max=3))
    waiting = [ledger.submit(reserve(str(n))) for n in range(3)]
    with pytest.raises(LedgerBusy):
        ledger.submit(reserve("one too many"))
    assert len(await asyncio.gather(*waiting)) == 3


async def test_a_cancelled_caller_neither_stops_the_command_nor_shifts_replies(ledger: Ledger) -> None:
    await ledger.apply([level("A", 100)])
    for n in range(20):
        abandoned = ledger.submit(reserve(f"abandoned {n}"))
        kept = ledger.submit(reserve(f"kept {n}", quantity=2))
        if n % 2:
            await asyncio.sleep(0)  # half of them are already on their way
        abandoned.cancel()
        result = await kept
        assert result.reservation is not None
        assert result.reservation.lines[0].requested == 2
    assert (await ledger.availability(["A"]))[0].locations[0].balance.held >= 40


async def test_what_was_accepted_is_answered_before_closing(open_ledger: Opening, valkey: str, namespace: str) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace))
    await ledger.apply([level("A", 100)])
    waiting = [ledger.submit(reserve(str(n))) for n in range(50)]
    await ledger.close()
    assert {(await future).outcome for future in waiting} == {Outcome.APPLIED}
    with pytest.raises(LedgerUnavailable):
        ledger.submit(reserve("late"))


async def test_big_baskets_are_spread_over_calls_by_their_work(
    open_ledger: Opening, valkey: str, namespace: str
) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, lines_max=10))
    await ledger.apply([level("A", 1_000)])
    before = ledger.batches[0]
    await asyncio.gather(*(ledger.submit(reserve(str(n))) for n in range(30)))
    assert ledger.batches[0] - before >= 3


async def test_a_command_refused_on_due_holds_is_decided_after_them(
    open_ledger: Opening, valkey: str, namespace: str
) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, settle_max=1))
    await ledger.apply([level("A", 3)])
    held = await asyncio.gather(*(ledger.submit(reserve(str(n), ttl_ms=1)) for n in range(3)))
    due = max(r.reservation.expires_at for r in held if r.reservation) + GRACE_MS
    await wait_until_async(lambda: time.time() * 1000 > due + 50, 10, "all three are due")
    # Each batch settles one: the basket is sent again until its units are free, and never refused on the way.
    result = await ledger.submit(reserve("all", quantity=3))
    assert result.outcome is Outcome.APPLIED


async def test_a_full_outbox_refuses_reserve_first_and_then_everything(
    open_ledger: Opening, valkey: str, namespace: str
) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, outbox_max=20))
    await ledger.apply([level("A", 100)])
    sold = await until_refused(ledger, [reserve(str(n)) for n in range(30)])
    assert 5 <= sold < 20
    assert (await ledger.submit(confirm("0"))).outcome is Outcome.APPLIED
    assert await until_refused(ledger, [confirm(str(n)) for n in range(1, 30)]) < 20
    await ledger.trim(0, (await ledger.heads())[0].seq)


async def test_a_process_that_sheds_notices_that_the_outbox_is_empty(
    open_ledger: Opening, valkey: str, namespace: str
) -> None:
    ledger, stop = await open_ledger(patient_ledger(valkey, namespace, outbox_max=20)), asyncio.Event()
    await ledger.apply([level("A", 100)])
    await until_refused(ledger, [reserve(str(n)) for n in range(30)])
    sweeping = asyncio.create_task(ledger.sweep(stop))
    await ledger.trim(0, (await ledger.heads())[0].seq)

    async def taken() -> bool:
        try:
            return (await ledger.submit(reserve("next"))).outcome.accepted
        except LedgerUnavailable:
            return False

    await wait_until_async(taken, description="a reserve, though nothing else is sent")
    stop.set()
    await sweeping


async def until_refused(ledger: Ledger, commands: list) -> int:
    """How many commands were applied before the outbox refused one."""
    for n, command in enumerate(commands):
        try:
            await ledger.submit(command)
        except LedgerUnavailable:
            return n
    raise AssertionError("never refused")


async def test_a_command_that_cannot_be_written_fails_alone(ledger: Ledger) -> None:
    """R16: it ended the partition's writer, and everybody after it waited for ever."""
    await ledger.apply([level("A", 10)])
    poison = structs.replace(reserve("poison"), channel="\ud800")
    before, failed, behind = (ledger.submit(c) for c in (reserve("before"), poison, reserve("behind")))
    async with asyncio.timeout(20):
        with pytest.raises(LedgerError, match="could not decide"):
            await failed
        assert [(await future).outcome for future in (before, behind)] == [Outcome.APPLIED] * 2
        assert (await ledger.submit(reserve("later"))).outcome is Outcome.APPLIED
