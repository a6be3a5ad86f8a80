"""Sources in the whole ledger: records of an earlier release, and who goes through the positions."""

import asyncio

import pytest
from msgspec import msgpack

from atp.domain.commands import Change as Call
from atp.domain.commands import Heartbeat, Level, MoveAuthority, PutPolicy
from atp.domain.outcomes import Outcome
from atp.domain.state import Source
from atp.ledger import Ledger
from tests.support import patient_ledger, wait_until_async

pytestmark = pytest.mark.anyio

ONE = '{"kind":"store","sources":[{"source":"erp1","role":"authority"}]}'
TWO = '{"kind":"store","sources":[{"source":"erp2","role":"authority"}]}'


async def opened(valkey: str, namespace: str) -> Ledger:
    ledger = Ledger(patient_ledger(valkey, namespace))
    await ledger.open({})
    return ledger


async def test_a_source_of_an_earlier_release_is_read_and_completed(valkey: str, namespace: str) -> None:
    ledger = await opened(valkey, namespace)
    reader = ledger._readers[0]
    await reader.command("HSET", reader.key("source"), "wms", msgpack.encode([1, "sequence", 3, 400]))
    assert await ledger.sources.known("wms") == [Source("sequence", 3, 400)]
    await ledger.sources.look()
    (result,) = await ledger.apply([Heartbeat("wms", "", 0)])
    assert result.outcome is Outcome.APPLIED
    (known,) = await ledger.sources.known("wms")
    assert known
    assert (known.generation, known.beats, known.silent, known.last_heard > 0) == (3, True, False, True)
    await ledger.close()


async def test_one_process_goes_through_the_positions_and_another_one_takes_over(valkey: str, namespace: str) -> None:
    ledger = await opened(valkey, namespace)
    await ledger.put_policy(PutPolicy("location", "DC1", ONE))
    levels = [
        Level(f"S{n}", "DC1", source, 5, "sequence", (0, n), "", 0, 0) for n in range(9) for source in ("erp1", "erp2")
    ]
    await ledger.apply(levels)
    reader = ledger._readers[0]
    await reader.command("SET", reader.key("lease:recheck"), "somebody who died", "PX", 60_000)
    moved = await ledger.sources.move_authority(MoveAuthority("DC1", "erp2", Call(1, 1), TWO))
    assert moved.outcome is Outcome.APPLIED

    async def waiting() -> bool:
        stored = await reader.command("HGET", reader.key("location"), "DC1")
        return msgpack.decode(stored)[3] > 0

    await ledger.sources.look()
    assert await waiting()
    await reader.command("DEL", reader.key("lease:recheck"))
    stop = asyncio.Event()
    sweeping = asyncio.create_task(ledger.sweep(stop))

    async def done() -> bool:
        return not await waiting()

    await wait_until_async(done)
    stop.set()
    await sweeping
    await ledger.close()
