"""A caller that goes away at any moment leaves no connection off by one, and one that is gets closed (R5)."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from atp.domain.outcomes import Outcome
from atp.ledger import Ledger, LedgerError
from tests.support import connected, patient_ledger, wait_until_async
from tests.wires import Wire, wire_to

from .conftest import Opening
from .made import level, reserve

pytestmark = pytest.mark.anyio

SKUS = 20
#: More steps of the loop than any call takes until it waits for the server, and back.
STEPS = 24


@pytest.fixture
async def wire(valkey: str) -> AsyncIterator[Wire]:
    port = urlsplit(valkey).port
    assert port is not None
    async with wire_to(port) as wire:
        yield wire


def through(wire: Wire, url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(str(parts.port), str(wire.port))).geturl()


def mismatched() -> float:
    return REGISTRY.get_sample_value("atp_ledger_replies_mismatched_total") or 0.0


async def stocked(open_ledger: Opening, wire: Wire, url: str, namespace: str) -> Ledger:
    """A ledger whose skus have as many units as their number says, behind a slow wire."""
    ledger = await open_ledger(patient_ledger(through(wire, url), namespace))
    await ledger.apply([level(str(n), 1_000 + n) for n in range(SKUS)])
    wire.delay_s = 0.002
    return ledger


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_calls_cancelled_at_every_step_shift_no_reply(
    open_ledger: Opening, wire: Wire, valkey: str, namespace: str
) -> None:
    ledger = await stocked(open_ledger, wire, valkey, namespace)
    before, chance = mismatched(), random.Random(7)

    def calls(n: int) -> list[Callable[[], Awaitable]]:
        return [
            lambda: ledger.availability([str(n % SKUS)]),
            lambda: ledger.reservation(reserve(f"gone {n}", str(n % SKUS)).id),
            lambda: ledger.apply([reserve(f"gone {n}", str(n % SKUS))]),
            lambda: ledger.heads(),
            lambda: ledger.cursor("STOCK/0"),
            lambda: ledger.read_entries(0, 0, 5),
            lambda: ledger.lease(f"l{n}", "me", 1_000),
        ]

    for step in range(STEPS * 2):
        leaving = [asyncio.ensure_future(call()) for call in calls(step)]
        # Some leave while nothing is sent, some while the reply is on its way, each at another step than the next.
        await steps(step % STEPS)
        if step >= STEPS:
            await asyncio.sleep(chance.uniform(0, 0.004))
        for task in leaving:
            task.cancel()
        sku = str((step * 7) % SKUS)
        (stock,), held = await asyncio.gather(
            ledger.availability([sku]), ledger.submit(reserve(f"kept {step}", sku, quantity=step % 5 + 1))
        )
        assert stock.sku == sku
        assert held.reservation is not None
        assert held.reservation.id == reserve(f"kept {step}", sku).id
        assert held.reservation.lines[0].requested == step % 5 + 1
        assert await ledger.reservation(held.reservation.id) == held.reservation
        assert await ledger.lease(f"mine {step}", "me", 1_000)
        await asyncio.gather(*leaving, return_exceptions=True)
    assert mismatched() == before


async def test_opening_that_is_cancelled_leaves_no_connection(wire: Wire, valkey: str, namespace: str) -> None:
    server = await connected(valkey)
    wire.delay_s = 0.001

    async def clients() -> int:
        return (await server.ask("CLIENT", "LIST")).count(b"\n")

    async def gone() -> bool:
        return await clients() <= before

    before = await clients()
    for step in range(12):
        ledger = Ledger(patient_ledger(through(wire, valkey), namespace))
        opening = asyncio.ensure_future(ledger.open({}))
        await asyncio.sleep(0.002 * step)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await ledger.close()
    await wait_until_async(gone, 10, "all connections are closed")
    await server.end()


async def test_a_reply_to_another_call_ends_the_connection_and_is_told(
    open_ledger: Opening, wire: Wire, valkey: str, namespace: str
) -> None:
    ledger = await stocked(open_ledger, wire, valkey, namespace)
    assert (await ledger.submit(reserve("first", "1"))).outcome is Outcome.APPLIED
    before = mismatched()
    wire.stale = True
    with capture_logs() as logs:
        result = await ledger.submit(reserve("second", "2", quantity=2))
    assert result.outcome is Outcome.REPLAYED  # the batch was applied: it was only its reply that could not be believed
    assert result.reservation is not None
    assert result.reservation.lines[0].requested == 2
    assert mismatched() == before + 1
    assert any("belongs to another batch" in line["event"] for line in logs)

    assert (await ledger.availability(["3"]))[0].ats == 1_003
    wire.stale = True
    with pytest.raises(LedgerError, match="another call"):
        await ledger.availability(["4"])
    assert mismatched() == before + 2
    assert (await ledger.availability(["4"]))[0].ats == 1_004
