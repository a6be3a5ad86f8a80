"""Dead letters as people handle them: what is shown, and that sending one again keeps the order of versions."""

import asyncio
import random

import pytest
from msgspec import structs
from nats.aio.client import Client

from atp.deadletters import (
    Chosen,
    Desk,
    LetterMissing,
    LetterSettings,
    LettersUnavailable,
    NotReplayable,
    view,
    whole_view,
)
from atp.domain.commands import PutPolicy
from atp.ingest import Event, feed
from tests.rooms.ingest.room import Room

pytestmark = pytest.mark.anyio

MARS = '{"kind":"warehouse","sources":[{"source":"wms","role":"authority"}]}'


@pytest.fixture
def desk(room: Room) -> Desk:
    return Desk(room.nc, letter_settings(room))


def letter_settings(room: Room) -> LetterSettings:
    s = room.settings
    return LetterSettings(stream=s.dead_letters, stock=s.stream, root=s.root, timeout_s=2.0)


async def everything(desk: Desk, chosen: Chosen = Chosen(), limit: int = 1_000) -> list[int]:  # noqa: B008
    page = await desk.page(chosen, 0, limit)
    return [letter.id for letter in page.letters]


async def refused(room: Room, *events: Event) -> None:
    """Publish, and wait until they were judged."""
    last = await room.publish(*events)
    room.start()
    await room.settled(last)
    await room.finish()


async def test_a_letter_shows_the_message_and_what_is_wrong_with_it(room, desk):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    bad = feed.level("wms", "e1", [("A", "DC1", 1), ("A", "MARS", 2)], sequence=3)
    await refused(room, structs.replace(bad, traceparent=trace, headers={"x-mine": "7"}))
    (letter,) = (await desk.page(Chosen(), 0, 10)).letters
    assert letter.payload is None
    shown = view(letter)
    assert (shown.id, shown.source, shown.reason) == ("1", "wms", "unknown-location")
    assert "lines[1]: location 'MARS'" in shown.detail
    assert (shown.subject, shown.stream) == (f"{room.settings.root}.v1.wms", room.settings.stream)
    assert (shown.stream_sequence, shown.deliveries) == (1, 1)
    assert (shown.event_id, shown.event_type, shown.traceparent) == ("e1", feed.LEVEL, trace)
    assert shown.size == len(bad.data)
    whole = whole_view(await desk.get(1))
    assert whole.payload == bad.data.decode()
    assert whole.headers["x-mine"] == "7"
    assert whole.headers["ce-sequence"] == "3"
    assert not any(name.lower().startswith(("atp-", "nats-")) for name in whole.headers)


async def test_bytes_are_shown_as_base64_and_long_payloads_are_cut(room, desk):
    await refused(
        room,
        Event("wms", "e1", feed.LEVEL, b"\xff\x00", 1),
        Event("wms", "e2", feed.LEVEL, b"\xc3\xa4" * 40_000, 2),
    )
    assert whole_view(await desk.get(1)).payload_base64 == "/wA="
    long = whole_view(await desk.get(2))
    assert long.payload_truncated
    assert long.payload == "ä" * 32_768
    assert long.size == 80_000


async def test_a_repaired_cause_and_a_replay_give_the_units(room, desk):
    await refused(room, feed.level("wms", "e1", [("A", "MARS", 5)], sequence=1))
    await room.ledger.put_policy(PutPolicy("location", "MARS", MARS))
    await desk.replay(1)
    assert await everything(desk) == []
    room.start()
    await room.settled(2)
    assert await room.number("A", "MARS") == 5


async def test_an_old_level_stays_stale_and_an_applied_line_counts_once(room, desk):
    """The refused message's first line was applied, and newer levels came before anybody looked."""
    await refused(
        room,
        feed.delta("wms", "d", [("A", "DC1", 4), ("B", "MARS", 1)], sequence=1),
        feed.level("wms", "l", [("C", "DC1", 4), ("C", "MARS", 4)], sequence=2),
        feed.level("wms", "newer", [("C", "DC1", 9)], sequence=3),
    )
    await room.ledger.put_policy(PutPolicy("location", "MARS", MARS))
    done = await desk.replay_all(Chosen())
    assert (done.count, done.failures, done.after) == (2, [], None)
    consumer = room.start()
    await room.settled(5)
    assert [await room.number("A"), await room.number("C")] == [4, 9]
    assert [await room.number("B", "MARS"), await room.number("C", "MARS")] == [1, 4]
    assert consumer.counters.events == {"duplicate": 1, "stale": 1, "applied": 2}


async def test_a_replay_that_fails_again_is_a_new_letter(room, desk):
    await refused(room, feed.level("wms", "e1", [("A", "MARS", 5)], sequence=1))
    assert (await desk.replay_all(Chosen())).count == 1
    room.start()
    await room.settled(2)
    (again,) = (await desk.page(Chosen(), 0, 10)).letters
    assert (again.id, again.sequence, again.headers["ce-id"]) == (2, 2, "e1")


async def test_repeating_a_replay_sends_nothing_twice(room, desk):
    """A desk that died between the acknowledgement and the removal."""
    await refused(room, feed.level("wms", "e1", [("A", "MARS", 5)], sequence=1))

    async def dies(id: int) -> bool:
        raise LettersUnavailable("died here")

    delete, desk._store.delete = desk._store.delete, dies
    with pytest.raises(LettersUnavailable):
        await desk.replay(1)
    desk._store.delete = delete
    assert await everything(desk) == [1]
    await desk.replay(1)
    assert await everything(desk) == []
    assert (await room.nc.jetstream().stream_info(room.settings.stream)).state.last_seq == 2


async def test_letters_go_only_with_the_acknowledgement(room, desk):
    """The stock stream is gone: nothing takes the replay."""
    await refused(room, feed.level("wms", "e1", [("A", "MARS", 5)], sequence=1))
    await room.nc.jetstream().delete_stream(room.settings.stream)
    with pytest.raises(LettersUnavailable):
        await desk.replay(1)
    assert await everything(desk) == [1]


async def test_an_omitted_payload_comes_from_its_stream(room, desk):
    """With headers, the letter is larger than the server takes."""
    size, js = room.nc.max_payload - 200, room.nc.jetstream()
    for n in (1, 2, 3):
        padding = b" " * (size + 150 * (n == 3))  # the third is so large that the headers of a replay find no room
        await js.publish(f"{room.settings.root}.v1.wms", padding, headers={"ce-id": f"e{n}"})
    room.start()
    await room.settled(3)
    await room.finish()
    first = await desk.get(1)
    assert first.omitted == ["payload"]
    assert (len(first.payload or b""), first.size) == (size, size)
    await desk.replay(1)
    assert (await js.get_msg(room.settings.stream, 4)).data == b" " * size
    await js.delete_msg(room.settings.stream, 2)
    with pytest.raises(NotReplayable, match=f"payload were too large.* {room.settings.stream} no longer .* sequence 2"):
        await desk.replay(2)
    done = await desk.replay_all(Chosen())
    assert [failure.id for failure in done.failures] == [2, 3]
    assert "no longer has the original" in done.failures[0].detail
    assert "larger than NATS takes" in done.failures[1].detail
    assert whole_view(await desk.get(2)).headers["ce-id"] == "e2"


async def test_letters_are_chosen_by_source_reason_and_time(room, desk):
    await refused(
        room,
        feed.level("wms", "e1", [("A", "MARS", 5)], sequence=1),
        feed.level("erp", "e2", [("A", "MARS", 5)], sequence=1),
        Event("erp", "e3", feed.LEVEL, b"{", 2),
    )
    assert await everything(desk, Chosen(source="erp")) == [2, 3]
    assert await everything(desk, Chosen(reason="unknown-location")) == [1, 2]
    assert await everything(desk, Chosen("erp", "unknown-location")) == [2]
    assert await everything(desk, Chosen(source="none")) == []
    letters = (await desk.page(Chosen(), 0, 10)).letters
    assert await everything(desk, Chosen(before=letters[0].dead_at)) == []
    assert await everything(desk, Chosen(before=letters[-1].dead_at + 1)) == [1, 2, 3]
    assert (await desk.discard_all(Chosen(source="erp", reason="invalid-data"))).count == 0
    assert (await desk.discard_all(Chosen(reason="unknown-location"))).count == 2
    assert await everything(desk) == [3]


async def test_pages_follow_one_another(room, desk):
    await refused(room, *(Event("wms", f"e{n}", feed.LEVEL, b"{", n) for n in range(25)))
    seen, after = [], 0
    while after is not None:
        page = await desk.page(Chosen(), after, 10)
        seen.append([letter.id for letter in page.letters])
        after = page.after
    assert seen == [list(range(1, 11)), list(range(11, 21)), list(range(21, 26))]
    done = await desk.discard_all(Chosen(), limit=10)
    assert (done.count, done.after) == (10, 10)
    done = await desk.replay_all(Chosen(), after=10, limit=10)
    assert (done.count, done.after) == (10, 20)
    done = await desk.discard_all(Chosen(), after=20, limit=10)
    assert (done.count, done.after) == (5, None)
    assert await everything(desk) == []


async def test_what_is_not_there_is_said_to_be_missing(room, desk):
    for id in (1, 10**15):
        for act in (desk.get, desk.replay, desk.discard):
            with pytest.raises(LetterMissing):
                await act(id)
    js = room.nc.jetstream()
    await js.delete_stream(room.settings.dead_letters)
    assert await everything(desk) == []
    assert (await desk.replay_all(Chosen())).count == 0
    with pytest.raises(LetterMissing):
        await desk.get(1)


async def test_a_forged_letter_reaches_no_other_subject(room, desk):
    """Whoever may write to the stream of dead letters must not use an operator's hands."""
    js, root = room.nc.jetstream(), room.settings.root
    heard = await room.nc.subscribe("other.*")
    for subject in ("other.subject", f"{root}.dlq.wms", f"{root}.v1.*", f"{root}.v1.a b", "$JS.API.INFO", ""):
        await js.publish(f"{root}.dlq.wms", b"x", headers={"atp-subject": subject, "atp-reason": "forged"})
    elsewhere = {"atp-omitted": "payload", "atp-stream": "$SYS.REQ", "atp-stream-sequence": "9" * 30}
    await js.publish(f"{root}.dlq.wms", b"x", headers=elsewhere)
    await js.publish(f"{root}.dlq.wms", b"no headers at all")
    done = await desk.replay_all(Chosen())
    assert (done.count, len(done.failures)) == (0, 8)
    assert heard.pending_msgs == 0
    await heard.unsubscribe()


async def test_ten_thousand_letters(room, desk):
    """All of them go again, while another desk throws half of them away."""
    chance = random.Random(4)
    events = [Event(chance.choice(("wms", "erp")), f"e{n}", feed.LEVEL, b'{"lines":[]}', n) for n in range(10_000)]
    await refused(room, *events)
    erp = sum(event.source == "erp" for event in events)
    seen: list[tuple[int, int]] = []
    other = Desk(room.nc, letter_settings(room))
    thrown, sent = await asyncio.gather(
        other.discard_all(Chosen(source="erp"), progress=lambda *at: seen.append(at)),
        desk.replay_all(Chosen(source="wms")),
    )
    assert (thrown.count, sent.count) == (erp, 10_000 - erp)
    assert seen[-1] == (erp, erp)
    assert await everything(desk) == []
    info = await room.nc.jetstream().stream_info(room.settings.stream)
    assert info.state.last_seq == 20_000 - erp


async def test_without_nats_everything_says_so(room, nats):
    nc = Client()
    desk = Desk(nc, letter_settings(room))
    for act in (desk.page(Chosen(), 0, 10), desk.get(1), desk.replay(1), desk.discard(1), desk.replay_all(Chosen())):
        with pytest.raises(LettersUnavailable):
            await act
