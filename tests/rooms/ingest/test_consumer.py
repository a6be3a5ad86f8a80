"""From the stream to the ledger: order, repeats, dead letters, and processes that die at the worst moment."""

import asyncio
import random

import pytest
from msgspec import structs

from atp.domain.commands import Cursor, Level, PutPolicy
from atp.domain.entries import LevelSet
from atp.ingest import Event, Settings, StreamUnfit, ensure_streams, feed, pull
from atp.ledger import LedgerBusy, LedgerUnavailable, OutcomeUnknown
from tests.rooms.ingest.room import open_ledger
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio


async def test_levels_and_deltas_reach_the_ledger(room):
    last = await room.publish(
        feed.level("wms", "e1", [("A", "DC1", 10), ("B", "DC2", 4)], sequence=1),
        feed.delta("wms", "e2", [("A", "DC1", -3), ("A", "DC1", 1)], sequence=2),
    )
    room.start()
    await room.settled(last)
    assert await room.number("A") == 8
    assert await room.number("B", "DC2") == 4
    assert room.consumer.counters.events == {"applied": 4}


async def test_entries_name_their_message_and_cause(room):
    await room.publish(feed.level("wms", "e1", [("A", "DC1", 10)], sequence=1))
    room.start()
    await room.settled(1)
    entries = await room.ledger.read_entries(0, 0, 100)
    (taken,) = [entry for entry in entries if isinstance(entry, LevelSet)]
    assert (taken.stream, taken.position, taken.cause) == (room.settings.key, 1, "event=e1")


async def test_a_structured_event_is_the_same_event(room):
    event = (
        b'{"specversion":"1.0","id":"x","type":"atp.stock.level.v1","source":"s","sequence":"1",'
        b'"data":{"lines":[{"sku":"A","location":"DC1","quantity":3}]}}'
    )
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    await room.nc.jetstream().publish(f"{room.settings.root}.v1.wms.7", event, headers=headers)
    room.start()
    await room.settled(1)
    assert await room.number("A") == 3


@pytest.mark.parametrize("seed", range(3))
async def test_any_order_ends_in_the_same_number(room, seed):
    """Ten levels and the deltas between them, shuffled and partly sent twice under other message ids."""
    chance = random.Random(seed)
    events, number = [], 0
    for version in range(1, 61):
        if version % 6 == 1:
            number = chance.randrange(-50, 500)
            events.append(feed.level("wms", f"e{version}", [("A", "DC1", number)], sequence=version))
        else:
            change = chance.choice((-1, 1)) * chance.randrange(1, 9)
            number += change
            events.append(feed.delta("wms", f"e{version}", [("A", "DC1", change)], sequence=version))
    again = [structs.replace(e, headers={"Nats-Msg-Id": f"again-{e.id}"}) for e in chance.sample(events, 20)]
    shuffled = events + again
    chance.shuffle(shuffled)
    last = await room.publish(*shuffled)
    room.start()
    await room.settled(last)
    assert await room.number("A") == number
    assert last == 80


async def test_equal_versions_are_decided_by_the_later_message(room):
    at = "2026-11-20T10:00:00Z"
    last = await room.publish(
        feed.level("wms", "e1", [("A", "DC1", 5)], time=at), feed.level("wms", "e0", [("A", "DC1", 6)], time=at)
    )
    room.start()
    await room.settled(last)
    assert await room.number("A") == 6


def poison(settings: Settings) -> list[tuple[str, Event]]:
    """A message of each kind that only the whole way shows, with its reason."""

    def event(id: str, data: bytes = b"", sequence: int | None = 5, **rest) -> Event:
        return Event("wms", id, feed.LEVEL, data or b'{"lines":[]}', sequence, **rest)

    line = b'{"lines":[{"sku":"A","location":"%b","quantity":1}]}'
    return [
        ("invalid-data", event("p1")),
        ("invalid-json", event("p2", b"\xff\x00")),
        ("invalid-data", event("p3", b'{"x":' * 50_000)),
        ("too-large", event("p4", b" " * (settings.payload_max_bytes // 2))),
        ("unsupported-type", structs.replace(event("p5"), type="com.example.hello")),
        ("version-missing", event("p6", line % b"DC1", None)),
        ("version-in-future", event("p7", line % b"DC1", None, time="2999-01-01T00:00:00Z")),
        ("invalid-subject", event("p8", line % b"DC1", shard="a.b")),
        ("invalid-identifier", event("p9", line.replace(b"A", b"\\u0000") % b"DC1")),
        ("unknown-location", event("p10", line % b"MARS")),
        ("version-kind-mismatch", event("p11", line % b"DC1", None, time="2026-11-20T10:00:00Z")),
        ("measure-mismatch", event("p12", line[:-3] % b"DC1" + b',"measure":"available"}]}', 6)),
    ]


async def test_poison_goes_to_the_dead_letters_and_the_rest_flows(room):
    room.settings = structs.replace(room.settings, payload_max_bytes=1 << 19)
    cases = poison(structs.replace(room.settings, payload_max_bytes=(1 << 20) + 4096))
    events = [feed.level("wms", "good-0", [("A", "DC1", 0)], sequence=1)]
    for index, (_, event) in enumerate(cases, 1):
        events += [event, feed.level("wms", f"good-{index}", [("A", "DC1", index)], sequence=10 + index)]
    last = [await room.publish(event) for event in events][-1]
    room.start()
    await room.settled(last)
    assert await room.number("A") == len(cases)
    letters = await room.dead_letters()
    assert sorted((m.headers["ce-id"], m.headers["atp-reason"]) for m in letters) == sorted(
        (event.id, reason) for reason, event in cases
    )
    by_id = {m.headers["ce-id"]: m for m in letters}
    assert by_id["p2"].data == b"\xff\x00"
    assert by_id["p2"].subject == f"{room.settings.root}.dlq.wms"
    assert by_id["p2"].headers["atp-stream-sequence"] == "4"
    assert by_id["p2"].headers["atp-deliveries"] == "1"
    assert "U+0000" in by_id["p9"].headers["atp-detail"]
    assert "lines[0]: location 'MARS'" in by_id["p10"].headers["atp-detail"]
    assert room.consumer.counters.dead_letters.total() == len(cases)


RAW = {
    "status line that is not text": (b"", b"NATS/1.0 \xff\xff\xff\r\n\r\n", "not-a-cloudevent"),
    "status line of a heartbeat": (b"", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n", "not-a-cloudevent"),
    "status line of an end": (b"", b"NATS/1.0 409 Consumer Deleted\r\n\r\n", "not-a-cloudevent"),
    "header block cut off": (b"", b"NATS/1.0", "not-a-cloudevent"),
    "header name that is not text": (b"", b"NATS/1.0\r\n\xff: a\r\nce-id: \xff\r\n\r\n", "invalid-envelope"),
    "header name for nobody": (b"", b"NATS/1.0\r\n(: a\r\nce-id: x\r\n\r\n", "invalid-envelope"),
    "subject that is not text": (b".\xff\xfe", b"NATS/1.0\r\nce-id: x\r\n\r\n", "invalid-envelope"),
}


@pytest.mark.parametrize("name", RAW)
async def test_bytes_that_a_client_cannot_read_do_not_end_it(room, nats, name):
    tail, headers, reason = RAW[name]
    subject = room.settings.root.encode() + b".v1.wms" + tail
    secret, _, address = nats.removeprefix("nats://").partition("@")
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b'CONNECT {"auth_token":"%b","headers":true,"verbose":false}\r\n' % secret.encode())
    writer.write(b"HPUB %b %d %d\r\n%bhi\r\nPING\r\n" % (subject, len(headers), len(headers) + 2, headers))
    async with asyncio.timeout(20):
        while await reader.readline() != b"PONG\r\n":
            pass
    writer.close()
    room.start()
    await room.settled(await room.publish(feed.level("wms", "good", [("A", "DC1", 1)], sequence=1)))
    assert await room.number("A") == 1
    assert await room.reasons() == [reason]
    assert room.consumer.counters.restarts == 0


async def test_only_the_refused_lines_of_a_message_are_missing(room):
    last = await room.publish(feed.level("wms", "e1", [("A", "DC1", 1), ("B", "MARS", 2), ("C", "DC1", 3)], sequence=1))
    room.start()
    await room.settled(last)
    assert (await room.number("A"), await room.number("C")) == (1, 3)
    (letter,) = await room.dead_letters()
    assert letter.headers["atp-detail"] == "1 of 3 lines refused: lines[1]: location 'MARS' is not known"


async def test_a_message_as_large_as_the_server_takes_can_be_set_aside(room):
    room.settings = structs.replace(room.settings, payload_max_bytes=1000)
    event = Event("wms", "big", feed.LEVEL, b"", 1)
    size = room.nc.max_payload - sum(len(k) + len(v) + 4 for k, v in feed.headers_of(event).items()) - 200
    await room.publish(structs.replace(event, data=b"x" * size))
    room.start()
    await room.settled(1)
    (letter,) = await room.dead_letters()
    assert (letter.headers["atp-reason"], letter.headers["atp-omitted"], letter.data) == ("too-large", "payload", b"")


async def test_headers_as_large_as_the_server_takes_can_be_set_aside(room):
    await room.publish(Event("wms", "big", feed.LEVEL, b"{}", 1, headers={"note": "x" * 65_000}))
    room.start()
    await room.settled(1)
    (letter,) = await room.dead_letters()
    assert (letter.headers["atp-reason"], letter.headers["atp-omitted"], letter.data) == (
        "invalid-data",
        "headers",
        b"{}",
    )


async def test_a_replay_of_the_whole_stream_has_no_effect(room):
    """An operator copies the stream into itself: other sequences, the same events.

    The level is taken once more, with the deltas above it: of two equal versions the later message counts (R14).
    """
    events = [feed.level("wms", "e1", [("A", "DC1", 100)], sequence=1)]
    events += [feed.delta("wms", f"e{n}", [("A", "DC1", -1)], sequence=n) for n in range(2, 52)]
    room.start()
    await room.settled(await room.publish(*events))
    last = await room.publish(*(structs.replace(e, headers={"Nats-Msg-Id": f"again-{e.id}"}) for e in events))
    await room.settled(last)
    assert last == 102
    assert await room.number("A") == 50
    assert room.consumer.counters.events == {"applied": 52, "duplicate": 50}


async def test_reading_the_whole_stream_again_has_no_effect(room):
    """As after a rebuild from a journal that knew less of the stream: the cursor is back, the effects are there."""
    events = [feed.level("wms", "e1", [("A", "DC1", 100)], sequence=1)]
    events += [feed.delta("wms", f"e{n}", [("A", "DC1", -1)], sequence=n) for n in range(2, 52)]
    room.start()
    await room.settled(await room.publish(*events))
    await room.finish()
    room.settings = structs.replace(room.settings, shard=1)  # a cursor that was never moved
    room.start()
    await room.settled(51)
    assert await room.number("A") == 50
    assert room.consumer.counters.events == {"stale": 1, "duplicate": 50}


async def test_messages_below_the_cursor_are_never_applied_again(room):
    """A delta whose id the ledger has forgotten is still settled by its place in the stream (R15)."""
    room.start()
    await room.settled(await room.publish(feed.delta("wms", "e1", [("A", "DC1", 5)], sequence=1)))
    await room.finish()
    late = Level("A", "DC1", "wms", 0, "sequence", (0, 9), room.settings.key, 1, 0)
    results = await room.ledger.apply([Cursor(room.settings.key, 1), late])
    assert [result.outcome.name for result in results] == ["SETTLED", "SETTLED"]
    room.start()
    await room.settled(await room.publish(feed.delta("wms", "e2", [("A", "DC1", 1)], sequence=2)))
    assert await room.number("A") == 6


class Dies:
    """A ledger whose process is gone right after (or before) the nth call of ``apply``."""

    def __init__(self, ledger, calls: int, after: bool) -> None:
        self._ledger = ledger
        self._left = calls
        self._after = after
        self.dead = asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    async def apply(self, commands):
        self._left -= 1
        if self._left > 0:
            return await self._ledger.apply(commands)
        if self._after:
            await self._ledger.apply(commands)
        self.dead.set()
        return await asyncio.Event().wait()


@pytest.mark.parametrize("after", [True, False], ids=["applied, not acknowledged", "not applied"])
@pytest.mark.parametrize("calls", [1, 2, 5])
async def test_killed_between_apply_and_acknowledgement(room, calls, after):
    room.settings = structs.replace(room.settings, batch_messages=7)
    events = [feed.level("wms", "e0", [("A", "DC1", 100)], sequence=1)]
    for n in range(1, 51):
        place = "MARS" if n % 10 == 0 else "DC1"
        events.append(feed.delta("wms", f"e{n}", [("A", place, -1)], sequence=n + 1))
    last = await room.publish(*events)
    dying = Dies(room.ledger, calls, after)
    room.start(dying)
    await asyncio.wait_for(dying.dead.wait(), 10)
    await room.kill()
    room.start()
    await room.settled(last)
    assert await room.number("A") == 55
    assert await room.reasons() == ["unknown-location"] * 5


async def test_a_dead_letter_is_on_disk_before_the_cursor_passes_it(room):
    """Without a place for dead letters the consumer waits, however long."""
    js = room.nc.jetstream()
    room.start()
    await room.settled(await room.publish(feed.level("wms", "e1", [("A", "DC1", 1)], sequence=1)))
    await js.delete_stream(room.settings.dead_letters)
    # Its subjects now answer nobody until the consumer's next start makes the stream again.
    await room.publish(feed.level("wms", "e2", [("A", "MARS", 1)], sequence=2))
    await room.settled(2)
    assert await room.reasons() == ["unknown-location"]
    assert room.consumer.counters.restarts >= 1


class Ailing:
    """A ledger that fails in every way it may, now and then."""

    def __init__(self, ledger, seed: int) -> None:
        self._ledger = ledger
        self._chance = random.Random(seed)

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    async def apply(self, commands):
        match self._chance.randrange(6):
            case 0:
                raise LedgerBusy("full")
            case 1:
                raise LedgerUnavailable("away")
            case 2:
                await self._ledger.apply(commands)
                raise OutcomeUnknown("no answer")
        return await self._ledger.apply(commands)


async def test_an_ailing_ledger_costs_time_and_nothing_else(room):
    room.settings = structs.replace(room.settings, batch_messages=5, retry_max_s=0.01, retry_min_s=0.001)
    events = [feed.delta("wms", f"e{n}", [("A", "DC1", 1)], sequence=n) for n in range(1, 201)]
    last = await room.publish(*events)
    room.start(Ailing(room.ledger, 1))
    await room.settled(last)
    assert await room.number("A") == 200
    assert await room.reasons() == []
    assert room.consumer.counters.ledger_retries > 0


class Chokes:
    """A ledger that breaks on one sku: what no message should be able to do, and one day may."""

    def __init__(self, ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    async def apply(self, commands):
        if any(getattr(command, "sku", "") == "BAD" for command in commands):
            raise ValueError("cannot be encoded")
        return await self._ledger.apply(commands)


async def test_a_message_that_fails_alone_while_the_ledger_is_well_is_set_aside(room):
    events = [feed.level("wms", f"e{n}", [("BAD" if n == 13 else f"S{n}", "DC1", n)], sequence=n) for n in range(1, 31)]
    last = await room.publish(*events)
    room.start(Chokes(room.ledger))
    await room.settled(last)
    (letter,) = await room.dead_letters()
    assert (letter.headers["ce-id"], letter.headers["atp-reason"]) == ("e13", "unprocessable")
    assert [await room.number(f"S{n}") for n in (12, 14, 30)] == [12, 14, 30]


async def test_one_reads_and_the_other_takes_over(room, make_ledger):
    room.settings = structs.replace(room.settings, lease_ttl_ms=4_000)  # longer than a machine stands still
    ledger = make_ledger()
    await ledger.open({})
    first = room.start()
    await wait_until_async(lambda: first.counters.active, 10, "the first reads")
    stop = asyncio.Event()
    second = type(first)(room.nc, ledger, room.settings)
    standby = asyncio.create_task(second.run(stop))
    await room.settled(await room.publish(feed.delta("wms", "e1", [("A", "DC1", 1)], sequence=1)))
    assert not second.counters.active
    await room.kill()
    await room.publish(feed.delta("wms", "e2", [("A", "DC1", 1)], sequence=2))
    await wait_until_async(lambda: second.counters.active, 20, "the standby reads")
    await room.settled(2)
    assert await room.number("A") == 2
    stop.set()
    await standby
    await ledger.close()


async def test_a_deleted_consumer_is_made_anew(room):
    room.start()
    await room.settled(await room.publish(feed.delta("wms", "e1", [("A", "DC1", 1)], sequence=1)))
    await room.nc.jetstream().delete_consumer(room.settings.stream, room.settings.consumer)
    await room.settled(await room.publish(feed.delta("wms", "e2", [("A", "DC1", 1)], sequence=2)))
    assert await room.number("A") == 2


async def test_it_goes_on_after_a_quiet_while(room, monkeypatch: pytest.MonkeyPatch):
    """Pull requests expire and are renewed."""
    monkeypatch.setattr(pull, "_SILENT_HEARTBEATS", 100)  # that the machine stands still is not silence
    room.settings = structs.replace(room.settings, request_s=0.3, heartbeat_s=0.1)
    room.start()
    await asyncio.sleep(1)
    await room.settled(await room.publish(feed.delta("wms", "e1", [("A", "DC1", 1)], sequence=1)))
    assert room.consumer.counters.restarts == 0


async def test_what_was_settled_is_acknowledged(room):
    room.start()
    last = await room.publish(*(feed.delta("wms", f"e{n}", [("A", "DC1", 1)], sequence=n) for n in range(1, 1200)))
    await room.settled(last)

    async def acknowledged() -> bool:
        info = await room.nc.jetstream().consumer_info(room.settings.stream, room.settings.consumer)
        return info.ack_floor is not None and info.ack_floor.stream_seq == last and info.num_pending == 0

    await wait_until_async(acknowledged, 10, "the server knows what is done")
    assert room.consumer.counters.position == last


async def test_it_stops_with_its_cursor_written(room):
    room.start()
    last = await room.publish(*(feed.delta("wms", f"e{n}", [("A", "DC1", 1)], sequence=n) for n in range(1, 40)))
    await wait_until_async(lambda: room.consumer.counters.messages >= last, 10, "all read")
    await room.finish()
    assert await room.ledger.cursor(room.settings.key) == last


async def test_a_location_put_later_lets_the_next_event_in(room):
    room.start()
    await room.settled(await room.publish(feed.level("wms", "e1", [("A", "NEW", 1)], sequence=1)))
    await room.ledger.put_policy(PutPolicy("location", "NEW", '{"kind":"store"}'))
    await room.settled(await room.publish(feed.level("wms", "e2", [("A", "NEW", 2)], sequence=2)))
    assert await room.number("A", "NEW") == 2


async def test_sending_again_stores_nothing_twice(room):
    events = [feed.delta("wms", f"e{n}", [("A", "DC1", 1)], sequence=n) for n in range(1, 1501)]
    assert await room.publish(*events[:600]) == 600
    assert await room.publish(*events) == 1500
    room.start()
    await room.settled(1500)
    assert await room.number("A") == 1500


async def test_over_three_partitions(room, valkey, namespace):
    """Each partition has the cursor, and the lowest of them counts."""
    room.ledger, one = await open_ledger(valkey, f"{namespace}p", partitions=3), room.ledger
    room.settings = structs.replace(room.settings, batch_messages=10)
    events = [feed.delta("wms", f"e{n}", [(f"S{n % 12}", "DC1", 1)], sequence=n) for n in range(1, 121)]
    last = await room.publish(*events)
    dying = Dies(room.ledger, 4, True)
    room.start(dying)
    await asyncio.wait_for(dying.dead.wait(), 10)
    await room.kill()
    room.start()
    await room.settled(last)
    assert [await room.number(f"S{n}") for n in range(12)] == [10] * 12
    await room.kill()
    await room.ledger.close()
    room.ledger = one


async def test_a_stream_that_keeps_too_little_is_refused(room):
    js = room.nc.jetstream()
    info = await js.stream_info(room.settings.stream)
    await js.update_stream(info.config.evolve(max_age=86_400))
    with pytest.raises(StreamUnfit, match=r"keeps messages for 1 days.*--max-age=7d"):
        await asyncio.wait_for(room.consumer.run(asyncio.Event()), 10)


async def test_a_stream_made_anew_never_passes_for_the_old_one(room):
    js = room.nc.jetstream()
    room.start()
    await room.settled(await room.publish(*(feed.delta("wms", f"e{n}", [("A", "DC1", 1)], sequence=n) for n in (1, 2))))
    await room.finish()
    await js.delete_stream(room.settings.stream)
    await ensure_streams(js, room.settings)
    with pytest.raises(StreamUnfit, match="--first-sequence=3"):
        await asyncio.wait_for(room.consumer.run(asyncio.Event()), 10)
    await js.delete_stream(room.settings.stream)
    room.start()
    await wait_until_async(lambda: room.consumer.counters.active, 10, "it reads")
    await room.settled(await room.publish(feed.delta("wms", "e3", [("A", "DC1", 1)], sequence=3)))
    assert await room.number("A") == 3


async def test_messages_that_left_the_stream_unread_are_counted(room):
    js = room.nc.jetstream()
    await room.publish(*(feed.delta("wms", f"e{n}", [("A", "DC1", 1)], sequence=n) for n in range(1, 11)))
    await js.purge_stream(room.settings.stream, seq=6)
    room.start()
    await room.settled(10)
    assert room.consumer.counters.missed == 5
    assert await room.number("A") == 5
