"""The publisher: every event in order, no gap, repeats only under the same id, and the last availability always."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import nats as nats_client
import pytest
from msgspec import json, structs
from nats.aio.client import Client
from nats.js.api import StreamConfig

from atp.dev.nats import Nats
from atp.domain.commands import Acknowledge, Change, Delta, Fulfil, PutPolicy, ReserveLine, Transfer
from atp.domain.ids import partition_of
from atp.domain.times import rfc3339
from atp.journal import Claim, Fenced, Journal
from atp.ledger import Ledger
from atp.outbox import Outbox, StreamUnfit
from atp.outbox.handover import Handover
from atp.outbox.sender import Sender
from tests.rooms.outbox.room import POLICIES, Room, confirm, extend, id_of, level, release, reserve, reserves
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Killed(Exception):
    """The process ended here."""


class DiesBeforeTheCursor(Journal):
    """A real journal whose caller is killed after the acknowledgement, before it is remembered."""

    async def move_published(self, claim: Claim, published: int, announced: int) -> None:
        raise Killed


async def drain(room: Room) -> Handover:
    handover = Handover(room.settings.handover_max)
    await room.drainer(handover=handover).run_once()
    return handover


async def published(room: Room) -> bool:
    mark = await room.journal.watermark(0)
    return mark is not None and mark.published == mark.announced == await room.head()


async def test_every_change_is_told_as_a_cloudevent(room: Room) -> None:
    await room.apply(
        level(10), reserve("a", 2, cause=f"request=r-1 trace={TRACE}"), extend("a"), confirm("a"), reserve("b", 3),
        release("b", "changed mind"), level(1, version=2),
    )  # fmt: skip
    async with room.running():
        await wait_until_async(lambda: published(room))
    told = (await room.told_events())[:6]  # pages of the shortage may follow
    assert [t.subject for t in told] == [
        "reservation.held", "reservation.extended", "reservation.committed", "reservation.held", "reservation.released",
        "shortage",
    ]  # fmt: skip
    held = told[0]
    entries = await room.journal.history(id_of("a"))
    assert held.headers | {"ce-id": "", "Nats-Batch-Id": "", "Nats-Batch-Sequence": ""} == held.headers | {
        "ce-id": "", "Nats-Batch-Id": "", "Nats-Batch-Sequence": "",
        "Nats-Msg-Id": f"0:{entries[0].seq}",
        "ce-specversion": "1.0",
        "ce-source": f"/atp/{room.ledger_settings.namespace}/0",
        "ce-type": f"{room.settings.root}.reservation.held",
        "ce-time": rfc3339(entries[0].at),
        "ce-subject": id_of("a"),
        "content-type": "application/json",
        "traceparent": TRACE,
    }  # fmt: skip
    assert held.id == f"0:{entries[0].seq}"
    assert held.data["state"] == "held"
    assert held.data["position"] == held.id
    assert held.data["expires_in_seconds"] == 600
    assert told[2].data["order_ref"] == "A-1"
    assert told[4].headers["ce-reason"] == "changed%20mind"
    assert told[5].data == {
        "event": "found",
        "sku": "TSHIRT",
        "location": "DC1",
        "short_by": 1,
        "policy": "report",
        "position": told[5].id,
    }


async def test_what_becomes_of_committed_units_is_told(room: Room) -> None:
    await room.apply(
        PutPolicy("location", "DC2", '{"kind":"store"}'), level(10), level(5, location="DC2"), reserve("a", 3),
        confirm("a"), Acknowledge(id_of("a"), Change(4, 4), []),
        Transfer(id_of("a"), Change(5, 5), "1", "DC1", "DC2", 2, cause=f"trace={TRACE}"),
        Fulfil(id_of("a"), Change(6, 6), []),
    )  # fmt: skip
    async with room.running():
        await wait_until_async(lambda: published(room))
    told = await room.told_events()
    assert [t.subject for t in told] == [
        "reservation.held", "reservation.committed", "reservation.acknowledged", "reservation.transferred",
        "reservation.fulfilled",
    ]  # fmt: skip
    assert [t.data["state"] for t in told] == ["held", "committed", "acknowledged", "committed", "fulfilled"]
    assert told[3].data["lines"][0]["allocations"] == [
        {"location": "DC1", "quantity": 1, "supply": "on_hand"},
        {"location": "DC2", "quantity": 2, "supply": "on_hand"},
    ]
    assert told[3].headers["traceparent"] == TRACE
    assert told[4].data["lines"][0]["fulfilled"] == 3
    assert (await room.told("availability"))[-1].data["ats"] == 12  # they left, and the numbers do not show it yet
    kept = await room.journal.reservation(id_of("a"))
    assert kept is not None
    assert kept.state == "fulfilled"


async def test_killed_between_acknowledgement_and_cursor(room: Room) -> None:
    """The successor sends the same ids again, NATS keeps the first of each, and the order stays."""
    await room.apply(level(100), *reserves(10))
    dying = DiesBeforeTheCursor(room.journal_settings)
    await dying.open()
    with pytest.raises(Killed):
        await room.publisher(await drain(room), dying).run_once()
    await dying.close()
    first = await room.told_events()
    assert len(first) == 10
    await room.apply(*reserves(10, "later"))
    handover = await drain(room)
    publisher = room.publisher(handover)
    await publisher.run_once()
    assert publisher._counters.repeats == 10 + POLICIES
    told = await room.told_events()
    assert told[:10] == first
    assert [t.id for t in told] == sorted({t.id for t in told}, key=lambda id: int(id[2:]))
    assert len(told) == 20
    at_once = ["Nats-Batch-Id" in each.headers for each in told]
    assert at_once == [True] * 10 + [False] + [True] * 9, "behind the first that is new the rest goes at once"


async def test_nats_away(room: Room, tmp_path: Path) -> None:
    """Journal and trim go on; the publisher resumes where it stood."""
    with Nats(tmp_path) as server:
        room.nats = await nats_client.connect(
            server.url, pending_size=0, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=_ignore
        )
        await room.apply(level(1_000), *reserves(5, "before"))
        async with room.running() as outbox:
            counters = outbox.partitions[0].counters
            await wait_until_async(lambda: published(room))
            server.stop()
            for n in range(5):
                await room.apply(*reserves(10, f"during{n}-"))
                await wait_until_async(room.drained)
            await wait_until_async(lambda: not counters.nats_reachable)
            mark = await room.journal.watermark(0)
            assert mark is not None
            assert mark.published < mark.seq
            server.start()
            await wait_until_async(lambda: published(room), description="the publisher to catch up")
            await wait_until_async(lambda: counters.nats_reachable)
        seqs = [int(t.id[2:]) for t in await room.told_events()]
        assert len(seqs) == 55
        assert seqs == sorted(set(seqs))
        await room.nats.close()


async def test_not_connected_at_the_start(room: Room) -> None:
    """A NATS that was never there does not keep the journal from working."""
    await room.nats.close()
    room.nats = Client()
    await room.apply(level(10), reserve("a"))
    async with room.running():
        await wait_until_async(room.drained)


async def test_a_backlog_longer_than_memory_is_read_from_the_journal(room: Room) -> None:
    room.settings = type(room.settings)(
        stream=room.settings.stream, root=room.settings.root, batch_max=7, handover_max=5
    )
    await room.apply(level(100), *reserves(40))
    async with room.running():
        await wait_until_async(lambda: published(room))
    seqs = [int(t.id[2:]) for t in await room.told_events()]
    assert len(seqs) == 40
    assert seqs == sorted(set(seqs))


async def test_a_publisher_that_slept_is_refused_by_nats(room: Room) -> None:
    """PostgreSQL would notice only afterwards; the stream's sequence refuses the stale message itself (R19)."""
    await room.apply(level(10), reserve("a"))
    sleeper = room.publisher(handover := await drain(room))
    await sleeper.run_once()
    await room.apply(reserve("b"))
    await room.drainer(handover=handover).run_once()  # the sleeper's own drainer: entries are in its hands
    successor = room.publisher(await drain(room))
    await room.apply(reserve("c"))
    stale = Sender(room.nats, room.settings, sleeper._check_claim)
    stale._last = sleeper._sender._last
    await room.drainer(owner="me", handover=successor._handover).run_once()
    await successor.run_once()
    before = await room.told()

    mark = await room.journal.claim(0, "successor")
    assert mark.seq == await room.head()
    entries = await room.journal.entries_after(0, 0, 1_000)
    message = sleeper._messages.of_entry(entries[-1])
    assert message is not None
    with pytest.raises(Fenced):
        await stale.send([message])
    assert await room.told() == before


async def test_availability_is_told_at_most_ten_times_a_second_and_the_last_always(room: Room) -> None:
    await room.apply(level(1_000))
    loop = asyncio.get_running_loop()
    async with room.running():
        begun = loop.time()
        for n in range(60):
            await room.apply(reserve(f"k{n}"))
            await asyncio.sleep(0.01)
        await wait_until_async(lambda: published(room))
        lasted = loop.time() - begun
    told = await room.told("availability")
    assert len(told) <= lasted * 10 + 1
    assert told[-1].data["ats"] == 940
    assert told[-1].data["sku"] == told[-1].headers["ce-subject"] == "TSHIRT"
    assert told[-1].data["channel"] == "default"
    assert told[-1].data["position"] == f"0:{await room.head()}"
    assert len({t.id for t in told}) == len(told)


async def test_availability_owed_by_a_killed_publisher_is_told_by_its_successor(room: Room) -> None:
    await room.apply(level(10), reserve("a"))
    handover = await drain(room)
    await room.publisher(handover).run_once()
    await room.apply(reserve("b"))
    await room.drainer(handover=handover).run_once()
    claim = handover.claim
    assert claim is not None
    head = await room.head()
    await room.journal.move_published(claim, head, head - 1)  # killed with the event of "b" told, its availability not
    async with room.running():
        await wait_until_async(lambda: published(room))
    assert (await room.told("availability"))[-1].data["ats"] == 8


async def test_each_partition_tells_of_its_own_skus_only(room: Room) -> None:
    """A campaign's policy names those of the others as well, in every partition. It takes a unit of each."""
    await room.ledger.close()
    room.ledger_settings = structs.replace(
        room.ledger_settings, namespace=f"{room.ledger_settings.namespace}-two", partitions=2
    )
    room.ledger = Ledger(room.ledger_settings)
    await room.ledger.open({})
    for kind, id in (("location", "DC1"), ("source", "wms")):
        await room.ledger.put_policy(PutPolicy(kind, id, "{}"))
    skus = [f"S{n}" for n in range(8)]
    assert {partition_of(sku, 2) for sku in skus} == {0, 1}
    await room.apply(*(level(n + 1, sku=sku) for n, sku in enumerate(skus)))
    body = {"opens": 0, "closes": 2**50, "skus": {sku: {"quantity": 1} for sku in skus}}
    await room.ledger.put_policy(PutPolicy("campaign", "sale", json.encode(body).decode(), skus=skus))

    async with room.running() as outbox:
        publishers = [partition.publisher for partition in outbox.partitions]

        async def told() -> bool:
            heads = await room.ledger.heads()
            marks = [await room.journal.watermark(p) for p in range(2)]
            owed = any(publisher._announcer.owes for publisher in publishers)
            return not owed and [mark and mark.published for mark in marks] == [head.seq for head in heads]

        await wait_until_async(told)
    found = {
        (t.data["sku"], int(t.data["position"].partition(":")[0])): t.data["ats"]
        for t in await room.told("availability")
    }
    assert found == {(sku, partition_of(sku, 2)): n for n, sku in enumerate(skus)}


async def test_names_that_headers_cannot_hold_are_percent_encoded(room: Room) -> None:
    await room.apply(level(10, sku='Größe "M" 50%'))
    async with room.running():
        await wait_until_async(lambda: published(room))
    (told,) = await room.told("availability")
    assert told.headers["ce-subject"] == "Gr%C3%B6%C3%9Fe%20%22M%22%2050%25"
    assert told.data["sku"] == 'Größe "M" 50%'


async def test_a_reservation_larger_than_nats_takes_does_not_stop_the_ones_behind_it(room: Room) -> None:
    places, skus = [f"{n:02}".ljust(64, "𠮷") for n in range(40)], [f"SKU-{n}" for n in range(100)]
    await room.apply(*(PutPolicy("location", at, '{"kind":"store"}') for at in places))
    await room.apply(*(level(1, 1, sku, at) for sku in skus for at in places), level(1))
    lines = [ReserveLine(str(n), sku, len(places)) for n, sku in enumerate(skus)]
    await room.apply(structs.replace(reserve("large", sku=skus[0]), lines=lines), reserve("behind"))
    async with room.running():
        await wait_until_async(lambda: published(room), 30)
    large, behind = await room.told("reservation.held")
    assert large.headers["ce-omitted"] == "allocations"
    told = [(line["sku"], line["held"], line["allocations"]) for line in large.data["lines"]]
    assert told == [(sku, len(places), []) for sku in skus]
    assert "ce-omitted" not in behind.headers
    assert len(behind.data["lines"][0]["allocations"]) == 1


async def test_a_stream_without_atomic_batches_is_used_as_it_is(room: Room) -> None:
    js = room.nats.jetstream()
    await js.add_stream(StreamConfig(name=room.settings.stream, subjects=[f"{room.settings.root}.>"]))
    await room.apply(level(100), *reserves(5))
    async with room.running():
        await wait_until_async(lambda: published(room))
    assert len(await room.told_events()) == 5
    assert not (await js.stream_info(room.settings.stream)).config.allow_atomic


async def test_a_stream_that_does_not_keep_our_subjects_is_named(room: Room) -> None:
    await room.nats.jetstream().add_stream(StreamConfig(name=room.settings.stream, subjects=["other.>"]))
    await room.apply(level(100), reserve("a"))
    with pytest.raises(StreamUnfit, match="nats stream edit"):
        await room.publisher(await drain(room)).run_once()


async def test_a_delta_touches_availability_and_has_no_event_of_its_own(room: Room) -> None:
    await room.apply(level(10), Delta("TSHIRT", "DC1", "wms", -3, "sequence", (0, 2), "", 0, 0, 5))
    async with room.running():
        await wait_until_async(lambda: published(room))
    assert await room.told_events() == []
    assert (await room.told("availability"))[-1].data["ats"] == 7


async def _ignore(error: Exception) -> None:
    pass


async def test_the_cursor_is_not_moved_behind_every_batch_and_stands_at_the_end_when_all_stop(room: Room) -> None:
    """Each move is a transaction; at the end nothing is left to be repeated by whoever begins next."""
    room.settings = structs.replace(room.settings, move_every_s=60.0)
    moves: list[int] = []
    room.journal.move_published = noting(moves, room.journal.move_published)  # pyright: ignore[reportAttributeAccessIssue]
    async with room.running() as outbox:
        for n in range(3):
            await room.apply(level(100, n + 1), *reserves(2))
            await wait_until_async(told_all(room, outbox))
        assert len(moves) <= 1
    assert moves[-1] == await room.head()
    assert await published(room)


def told_all(room: Room, outbox: Outbox) -> Callable[[], Awaitable[bool]]:
    """Whether NATS has everything, whatever the journal's cursor says."""
    (partition,) = outbox.partitions

    async def told() -> bool:
        return await room.drained() and not partition.counters.publish_lag and not partition.publisher._announcer.owes

    return told


def noting(moves: list[int], move: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def noted(claim: Claim, through: int, announced: int) -> None:
        await move(claim, through, announced)
        moves.append(through)

    return noted
