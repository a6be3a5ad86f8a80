"""The ledger's face: partitions, policies, the outbox, leases, and deadlines kept while nobody asks."""

import asyncio
from uuid import uuid4

import pytest

from atp.domain.commands import Cursor, PutPolicy
from atp.domain.entries import AnyEntry, CursorMoved, Expired, Held, LedgerOpened
from atp.domain.ids import partition_of
from atp.domain.outcomes import Outcome
from atp.ledger import Ledger, LedgerUnavailable, keys
from tests.cutting import cut_at
from tests.support import connected, patient_ledger, wait_until_async

from .conftest import Opening
from .made import confirm, level, reserve

pytestmark = pytest.mark.anyio


async def test_partitions_share_policies_and_keep_their_skus(open_ledger: Opening, valkey: str, namespace: str) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, partitions=8))
    skus = [f"sku-{n}" for n in range(40)]
    assert {partition_of(sku, 8) for sku in skus} == set(range(8))
    await ledger.apply([level(sku, n) for n, sku in enumerate(skus)])
    assert [stock.ats for stock in await ledger.availability(skus)] == list(range(40))
    results = await asyncio.gather(*(ledger.submit(reserve(sku, sku)) for sku in skus[1:]))
    assert {r.outcome for r in results} == {Outcome.APPLIED}
    for sku, result in zip(skus[1:], results, strict=True):
        assert result.reservation is not None
        assert await ledger.reservation(result.reservation.id) == result.reservation
        assert (await ledger.submit(confirm(sku, sku))).outcome is Outcome.APPLIED


async def test_a_policy_has_one_version_in_every_partition(open_ledger: Opening, valkey: str, namespace: str) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, partitions=4))
    before = ledger.policy_version
    result = await ledger.put_policy(PutPolicy("location", "DC2", '{"kind":"warehouse"}', 0))
    policy = await ledger.policy("location", "DC2")
    assert policy is not None
    assert policy.version == result.seq
    assert ledger.policy_version > before
    again = await ledger.put_policy(PutPolicy("location", "DC2", '{"kind":"store"}', 0))
    assert again.outcome is Outcome.VERSION_MISMATCH
    assert again.detail == str(policy.version)
    for partition in range(4):
        connection = await connected(valkey)
        stored = await connection.ask("HGET", keys.prefix(namespace, partition) + "policy", "location/DC2")
        assert b"warehouse" in stored
        await connection.end()
    assert [p.id for p in await ledger.policies("location")] == ["DC1", "DC2"]
    assert await ledger.policy("location", "none") is None


async def test_a_cursor_counts_when_every_partition_has_it(open_ledger: Opening, valkey: str, namespace: str) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, partitions=3))
    assert await ledger.cursor("STOCK/0") == 0
    results = await ledger.apply([level("A", 1), Cursor("STOCK/0", 9), level("B", 1)])
    assert [r.outcome for r in results] == [Outcome.APPLIED] * 3
    assert await ledger.cursor("STOCK/0") == 9
    for partition in range(3):
        entries = await ledger.read_entries(partition, 0, 100)
        assert [e.position for e in entries if isinstance(e, CursorMoved)] == [9]


async def test_the_outbox_is_gapless_and_trimmed_only_as_told(ledger: Ledger) -> None:
    await ledger.apply([level("A", 1_000)])
    await asyncio.gather(*(ledger.submit(reserve(str(n))) for n in range(300)))
    entries = await ledger.read_entries(0, 0, 10_000)
    assert isinstance(entries[0], LedgerOpened)
    assert [e.seq for e in entries] == list(range(1, len(entries) + 1))
    half = len(entries) // 2
    later = await ledger.read_entries(0, half, 10_000)
    assert [e.seq for e in later] == list(range(half + 1, len(entries) + 1))
    await ledger.trim(0, half)
    assert (await ledger.heads())[0].outbox_length == len(entries) - half
    assert [e.seq for e in await ledger.read_entries(0, half, 10_000)] == [e.seq for e in later]
    await ledger.trim(0, len(entries))
    assert await ledger.read_entries(0, len(entries), 10) == []
    # A sequence goes on after the outbox was emptied.
    await ledger.submit(reserve("next"))
    assert [e.seq for e in await ledger.read_entries(0, len(entries), 10)] == [len(entries) + 1]


async def test_a_hold_expires_on_time_with_its_entry_while_nobody_asks(ledger: Ledger) -> None:
    await ledger.apply([level("A", 1)])
    stop = asyncio.Event()
    sweeping = asyncio.create_task(ledger.sweep(stop))

    async def on_time() -> bool:
        """One of a few is, on whatever machine."""
        result = await ledger.submit(reserve(uuid4().hex, ttl_ms=1))
        assert result.reservation is not None

        async def expired() -> list[AnyEntry]:
            return await ledger.read_entries(0, result.seq, 10)

        await wait_until_async(expired, 10, "the hold is settled by the sweeper")
        (entry,) = await expired()
        assert isinstance(entry, Expired)
        assert entry.at >= result.reservation.expires_at + 2_000
        return entry.at < result.reservation.expires_at + 4_000

    await wait_until_async(on_time, description="a hold is settled within two seconds")
    assert (await ledger.availability(["A"]))[0].ats == 1
    stop.set()
    await asyncio.wait_for(sweeping, 5)


async def test_a_lease_has_one_owner_until_it_runs_out(ledger: Ledger) -> None:
    assert await ledger.lease("drain", "a", 60_000)
    assert not await ledger.lease("drain", "b", 60_000)
    assert await ledger.lease("drain", "a", 1)

    async def taken() -> bool:
        return await ledger.lease("drain", "b", 60_000)

    await wait_until_async(taken, 10, "the lease ran out")
    assert not await ledger.lease("drain", "a", 60_000)


async def test_hostile_skus_stay_inside_their_fields(ledger: Ledger) -> None:
    skus = ["{x}", "a}b{", "sku*", "e\u0301", "\U0001f9e6", "x" * 64, '"; drop', "a/b", "%2F", " "]
    await ledger.apply([level(sku, n + 1) for n, sku in enumerate(skus)])
    assert [s.ats for s in await ledger.availability(skus)] == list(range(1, len(skus) + 1))
    held = [(await ledger.submit(reserve(sku, sku))).reservation for sku in skus]
    assert len({r.id for r in held if r}) == len(skus)


async def test_every_key_is_in_the_table(ledger: Ledger, valkey: str, namespace: str) -> None:
    await ledger.apply([level("A", 3), Cursor("S", 1)])
    await ledger.submit(reserve("yes"))
    await ledger.submit(reserve("no", quantity=9))
    await ledger.lease("x", "me", 60_000)
    connection = await connected(valkey)
    prefix = keys.prefix(namespace, 0)
    found = [k.decode().removeprefix(prefix) for k in await connection.ask("KEYS", f"*{namespace}:0}}:*")]
    patterns = {k.pattern.removesuffix("*"): k for k in keys.TABLE}
    for name in found:
        head = name if name in patterns else name.split(":")[0] + ":"
        assert head in patterns, f"{name} is not in the table of keys"
        kind = (await connection.ask("TYPE", prefix + name)).decode()
        assert kind == patterns[head].type
    await connection.end()
    assert any(isinstance(e, Held) for e in await ledger.read_entries(0, 0, 100))


async def test_a_server_that_dies_while_it_is_looked_at_is_unavailable(valkey: str, namespace: str) -> None:
    async with cut_at(b"appendfsync", valkey, forward=False) as url:
        with pytest.raises(LedgerUnavailable, match="went away"):
            await Ledger(patient_ledger(url, namespace)).open({})
