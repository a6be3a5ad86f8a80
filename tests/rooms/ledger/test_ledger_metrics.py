"""What the ledger tells Prometheus: real calls, a real queue, a server that really went away."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from atp.dev.valkey import Valkey
from atp.ledger import Ledger, LedgerUnavailable, OutcomeUnknown
from atp.telemetry import exposition
from tests.support import hurried, patient_ledger, wait_until_async

from .conftest import Opening
from .made import level, reserve

pytestmark = pytest.mark.anyio


def value(name: str, **labels: str) -> float:
    """A sample of this process, 0 before the first."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_calls_are_measured(ledger: Ledger) -> None:
    await ledger.apply([level("A", 1_000)])
    calls, commands = value("atp_batch_commands_count"), value("atp_batch_commands_sum")
    timed = value("atp_batch_seconds_count")
    before = ledger.batches
    await asyncio.gather(*(ledger.submit(reserve(str(n))) for n in range(100)))
    after = ledger.batches
    assert value("atp_batch_commands_sum") - commands == after[1] - before[1] == 100
    assert value("atp_batch_commands_count") - calls == after[0] - before[0]
    assert value("atp_batch_seconds_count") - timed == after[0] - before[0]
    text = exposition()[0].decode()
    assert "\natp_batch_commands_bucket{" in text
    assert "\natp_batch_seconds_bucket{" in text


async def test_the_queue_shows_how_full_it_is(open_ledger: Opening, valkey: str, namespace: str) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, queue_max=4))
    waiting = [ledger.submit(reserve(str(n))) for n in range(3)]
    assert value("atp_queue_fill") == 0.75
    await asyncio.gather(*waiting)
    assert value("atp_queue_fill") == 0


async def test_an_absence_is_counted_once_by_kind(open_ledger: Opening, own_valkey: Valkey) -> None:
    ledger = await open_ledger(patient_ledger(own_valkey.url))
    before = value("atp_ledger_errors_total", error="LedgerUnavailable")
    attempts = 0

    async def refused_often() -> bool:
        nonlocal attempts
        try:
            await ledger.submit(reserve(str(attempts)))
        except (LedgerUnavailable, OutcomeUnknown):
            attempts += 1
        return attempts > 20

    with hurried(ledger, batch_timeout_s=0.1, command_deadline_s=0.3):
        own_valkey.kill()
        await wait_until_async(refused_often, description="many refusals")
    assert value("atp_ledger_errors_total", error="LedgerUnavailable") - before == 1
    assert value("atp_ledger_errors_total", error="OutcomeUnknown") > 0  # the call that was under way, or met the end
    own_valkey.start()
