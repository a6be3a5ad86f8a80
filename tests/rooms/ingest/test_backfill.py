"""Files into the stock stream: line 40,017 is broken, the server goes away, a snapshot is not whole."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from atp.domain.commands import PutPolicy
from atp.ingest import Event, Feed, Settings, Sweeper, ensure_streams
from atp.ingest.backfill import Backfill, CannotResume, Format, Job, Totals, Unusable
from atp.ingest.backfill import run as running
from atp.ingest.feed import level
from atp.mapping import Stamp, load
from tests.rooms.ingest.room import Room
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

HEADER = "sku,location,quantity\n"


class Away(Exception):
    """The server is gone."""


def quiet(totals: Totals) -> None:
    """Nobody watches."""


@pytest.fixture
async def feed(nc: Client, settings: Settings) -> Feed:
    await ensure_streams(nc.jetstream(), settings)
    return Feed(nc, settings)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """A file of this text and what to do with it."""

    def job(text: str | bytes, mapping: str = "canonical", format: Format = "csv", resume: bool = False) -> Job:
        file = tmp_path / f"stock.{format}"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        given = Stamp(7)
        return Job(file, load(mapping), "wms", format, given, tmp_path / "rejects.ndjson", resume)

    return job


async def stored(nc: Client, settings: Settings) -> list[dict[str, Any]]:
    """The data of everything in the stock stream, in order."""
    js = nc.jetstream()
    last = (await js.stream_info(settings.stream)).state.last_seq
    return [json.loads((await js.get_msg(settings.stream, seq)).data or b"") for seq in range(1, last + 1)]


def positions(data: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(line["sku"], line["location"], line["quantity"]) for one in data for line in one["lines"]]


async def test_a_broken_line_is_set_aside_and_the_rest_goes_on(
    feed: Feed, nc: Client, settings: Settings, job: Callable[..., Job]
) -> None:
    rows = [f"S{n},DC1,{n % 50}\n" for n in range(2, 50_002)]
    rows[40_017 - 2] = 'S40017,"DC1,5\n'
    rows[45_000 - 2] = "S45000,DC1\n"
    rows[45_001 - 2] = "S45001,DC1,1.5\n"
    what = job(HEADER + "".join(rows))
    totals = await Backfill(what, feed.publish, quiet).run()
    assert (totals.records, totals.lines, totals.events, totals.rejected) == (50_000, 49_997, 50, 3)
    assert totals.examples[0] == "line 40,017: invalid-csv: a quote is not closed"
    assert what.rejects
    rejects = [json.loads(line) for line in what.rejects.read_text().splitlines()]
    assert [(one["line"], one["reason"]) for one in rejects] == [
        (40_017, "invalid-csv"), (45_000, "invalid-csv"), (45_001, "invalid-quantity")
    ]  # fmt: skip
    assert rejects[0]["text"] == 'S40017,"DC1,5'
    assert "2 fields, but the header names 3" in rejects[1]["detail"]
    found = positions(await stored(nc, settings))
    broken = {40_017, 45_000, 45_001}
    assert found == [(f"S{n}", "DC1", n % 50) for n in range(2, 50_002) if n not in broken]


async def test_a_file_reaches_the_ledger_and_sending_it_again_changes_nothing(room: Room, job: Callable) -> None:
    room.start()
    feed = Feed(room.nc, room.settings)
    lines = [{"sku": f"S{n}", "location": "DC1", "quantity": n} for n in range(1, 30)]
    what = job("\n".join(map(json.dumps, lines)), format="ndjson")
    for _ in range(2):
        await Backfill(what, feed.publish, quiet).run()
    last = (await room.nc.jetstream().stream_info(room.settings.stream)).state.last_seq
    assert last == 1  # the server knows the second one
    await room.settled(last)
    assert [await room.number(f"S{n}") for n in (1, 29)] == [1, 29]


async def test_a_run_that_was_cut_off_goes_on_and_stores_what_one_run_would(
    feed: Feed, nc: Client, settings: Settings, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_LINES_MAX", 3_000)
    rows = [f"S{n},DC{n % 3},{n}\n" for n in range(12_345)]
    rows[10] = rows[9_000] = "broken\n"
    rows[5] = rows[4]  # a position that stands twice ends an event
    text = HEADER + "".join(rows)

    whole: list[Event] = []

    async def collect(events: list[Event]) -> None:
        whole.extend(events)

    expected = await Backfill(job(text), collect, quiet).run()

    for steps in (2, 1):

        async def sometimes(events: list[Event], left: list[int] = [steps]) -> None:  # noqa: B006 - counts down
            if not left[0]:
                raise Away
            left[0] -= 1
            await feed.publish(events)

        with pytest.raises(Away):
            await Backfill(job(text, resume=True), sometimes, quiet).run()
    what = job(text, resume=True)
    totals = await Backfill(what, feed.publish, quiet).run()
    assert totals.resumed_at > 8_000
    assert (totals.records, totals.lines, totals.events, totals.rejected) == (
        expected.records, expected.lines, expected.events, 2
    )  # fmt: skip
    assert await stored(nc, settings) == [msgspec.json.decode(event.data) for event in whole]
    assert what.rejects
    assert [json.loads(line)["line"] for line in what.rejects.read_text().splitlines()] == [12, 9_002]
    assert not list(what.file.parent.glob("*.atp-progress"))


async def test_what_was_begun_differently_is_not_gone_on_with(
    feed: Feed, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_LINES_MAX", 1_000)
    text = HEADER + "".join(f"S{n},DC1,{n}\n" for n in range(3_000))
    calls = 0

    async def once(events: list[Event]) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise Away
        await feed.publish(events)

    with pytest.raises(Away):
        await Backfill(job(text), once, quiet).run()
    other = job(text, resume=True)
    other.given = Stamp(8)
    with pytest.raises(CannotResume, match="had version 7, this one has 8"):
        await Backfill(other, feed.publish, quiet).run()
    with pytest.raises(CannotResume, match="is not the file of the run before"):
        await Backfill(job(text.replace("S1,", "X1,"), resume=True), feed.publish, quiet).run()
    await Backfill(job(text, resume=True), feed.publish, quiet).run()


SNAPSHOT = 'extends = "canonical"\nsnapshot = true\n'


@pytest.fixture
def full(tmp_path: Path) -> str:
    path = tmp_path / "full.toml"
    path.write_text(SNAPSHOT)
    return str(path)


async def test_a_snapshot_says_its_parts_and_locations_in_each_of_them(
    feed: Feed, nc: Client, settings: Settings, job: Callable[..., Job], full: str
) -> None:
    text = HEADER + "".join(f"S{n},DC{n % 2},{n}\n" for n in range(2_500))
    totals = await Backfill(job(text, full), feed.publish, quiet).run()
    assert await Backfill(job(text, full), feed.publish, quiet).run() == totals
    data = await stored(nc, settings)
    assert [(one["part"], one["parts"], one["full"], len(one["lines"])) for one in data] == [
        (1, 3, True, 1_000), (2, 3, True, 1_000), (3, 3, True, 500)
    ]  # fmt: skip
    assert {one["snapshot_id"] for one in data} == {totals.snapshot}
    assert all(one["as_of"] == {"sequence": 7} and one["locations"] == ["DC0", "DC1"] for one in data)
    message = await nc.jetstream().get_msg(settings.stream, 2)
    assert (message.headers or {})["ce-id"] == f"{totals.snapshot}:2"


async def test_a_snapshot_that_was_cut_off_keeps_its_parts(
    feed: Feed, nc: Client, settings: Settings, job: Callable[..., Job], full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_LINES_MAX", 1_000)
    text = HEADER + "".join(f"S{n},DC1,{n}\n" for n in range(2_500))
    calls = 0

    async def once(events: list[Event]) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise Away
        await feed.publish(events)

    with pytest.raises(Away):
        await Backfill(job(text, full), once, quiet).run()
    await Backfill(job(text, full, resume=True), feed.publish, quiet).run()
    data = await stored(nc, settings)
    assert [(one["part"], one["parts"]) for one in data] == [(1, 3), (2, 3), (3, 3)]
    assert positions(data) == [(f"S{n}", "DC1", n) for n in range(2_500)]


async def test_a_snapshot_with_a_broken_line_is_not_sent_at_all(
    feed: Feed, nc: Client, settings: Settings, job: Callable[..., Job], full: str
) -> None:
    totals = await Backfill(job(HEADER + "A,DC1,1\nB,DC1,x\n", full), feed.publish, quiet).run()
    assert (totals.rejected, totals.events, totals.checking) == (1, 0, True)
    assert await stored(nc, settings) == []
    with pytest.raises(Unusable, match="without a single line"):
        await Backfill(job(HEADER, full), feed.publish, quiet).run()


@pytest.mark.parametrize(
    ("text", "format", "told"),
    [
        ("", "csv", "the file is empty"),
        ("a,a\n", "csv", "two columns are named 'a'"),
        (b"\xff\xfe", "csv", "line 1, the header: not utf-8: byte 0 is 0xff"),
    ],
)
async def test_a_file_that_cannot_be_read(job: Callable[..., Job], text: bytes, format: Format, told: str) -> None:
    with pytest.raises(Unusable, match=told):
        await Backfill(job(text, format=format), None, quiet).run()


async def test_a_dry_run_writes_nothing(job: Callable[..., Job]) -> None:
    what = job(HEADER + "A,DC1,1\nB,DC1,x\n")
    totals = await Backfill(what, None, quiet).run()
    assert (totals.events, totals.lines, totals.rejected) == (1, 1, 1)
    assert [path.name for path in what.file.parent.iterdir()] == ["stock.csv"]


async def test_json_documents_and_long_lines(job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"sku": f"S{n}", "location": "DC1", "quantity": n} for n in range(2_001)]
    totals = await Backfill(job(json.dumps(rows), format="json"), None, quiet).run()
    assert (totals.records, totals.events, totals.lines) == (1, 3, 2_001)
    text = json.dumps(rows[0]) + "\n" + json.dumps(rows[1] | {"x": "y" * (3 << 20)}) + "\n" + json.dumps(rows[2])
    totals = await Backfill(job(text, format="ndjson"), None, quiet).run()
    assert (totals.lines, totals.rejected) == (2, 1)
    assert totals.examples[0].startswith("line 2: too-large")


async def test_a_snapshot_file_takes_away_what_it_does_not_name(room: Room, job: Callable[..., Job], full: str) -> None:
    await room.ledger.put_policy(PutPolicy("source", "wms", '{"kind":"wms","full_guard_percent":100}'))
    last = await room.publish(level("wms", "before", [("OLD", "DC1", 9), ("S1", "DC1", 9)], sequence=1))
    room.start()
    await room.settled(last)
    text = HEADER + "".join(f"S{n},DC1,{n}\n" for n in range(1_500))
    await Backfill(job(text, full), Feed(room.nc, room.settings).publish, quiet).run()
    await room.settled(last + 2)
    stop, sweeper = asyncio.Event(), Sweeper(room.ledger, room.settings)
    sweeping = asyncio.create_task(sweeper.run(stop))

    async def gone() -> bool:
        return await room.number("OLD") == 0

    try:
        await wait_until_async(gone, 20, "what the file does not name is zero")
    finally:
        stop.set()
        await sweeping
    assert [await room.number(sku) for sku in ("S1", "S1499")] == [1, 1_499]
    assert await room.dead_letters() == []
