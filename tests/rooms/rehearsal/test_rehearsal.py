"""A rehearsal on real servers: it sells what was set aside, never on the live server, and leaves that as it was."""

import asyncio
import json
import os
import re
import sys
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from msgspec import structs
from rich.console import Console

from atp.config import Config
from atp.domain.commands import Change, Confirm, PutPolicy, Release
from atp.ledger import library
from atp.rehearsal import copying, page
from atp.rehearsal.errors import RehearsalRefused
from atp.rehearsal.report import Report, outcome, show
from atp.rehearsal.run import rehearse
from atp.rehearsal.settings import Settings
from tests.rooms.rebuild.room import Room, confirm, level, reserve, reserves
from tests.support import asking, connected, wait_until_async

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]

#: Five minutes in half a second. Holds live for six, so that a slow machine lets none of those who pay come too late.
CALM = Settings(buyers=200, seconds=0.5, window_seconds=300, conversion=1, bots=0)
NEXT = "function take(s, "
NEXT_YEAR = {"starts_at": "2100-01-01T00:00:00Z", "ends_at": "2100-01-02T00:00:00Z",
             "opens": 4_102_444_800_000, "closes": 4_102_531_200_000}  # fmt: skip


async def stock(room: Room, ttl_seconds: int = 3_600, quantity: int = 60, second: str = "B") -> Config:
    """Two skus, some of A sold and some held already, and a campaign that is far away."""
    await room.apply(level(100), level(50, sku=second), *reserves(5), confirm("k0"))
    body = {**NEXT_YEAR, "skus": {"A": {"quantity": quantity}, second: {"quantity": 30}}, "channels": ["web"],
            "ttl_seconds": ttl_seconds, "per_customer": 6}  # fmt: skip
    await room.ledger.put_policy(PutPolicy("campaign", "bf", json.dumps(body), skus=["A", second]))
    await room.drain()
    return Config(redis_url=room.url, namespace=room.namespace, database_url=room.journal._settings.url)


async def play(config: Config, settings: Settings = CALM) -> Report:
    return await rehearse("bf", settings, config, lambda *_: None)


async def written(room: Room) -> dict[str, str]:
    """How often the live server has carried out each command but for those that read or greet."""
    told = (await room.ask("INFO", "commandstats")).decode().splitlines()
    quiet = ("info", "hmget", "auth", "select", "hello")
    found = {name.removeprefix("cmdstat_"): text for name, _, text in (line.partition(":") for line in told) if text}
    return {name: text.partition(",")[0] for name, text in found.items() if name not in quiet and "scan" not in name}


async def test_a_campaign_of_next_year_sells_what_is_set_aside(room: Room, other: str) -> None:
    config = structs.replace(await stock(room), rehearsal_redis_url=other)
    report = await play(config)
    assert report.ok, report.checks
    assert {s.sku: (s.set_aside, s.sold, s.left) for s in report.skus} == {"A": (60, 60, 0), "B": (30, 30, 0)}
    assert report.sell_out_s is not None
    assert report.sell_out_s > 0
    assert report.reservations["committed"] == report.reservations["held in all"]
    assert report.refused["insufficient"] + report.reservations["held in all"] == report.visits == 200
    assert "2100-01-01" in report.copy.window
    assert 0 < report.latency_ms["p50"] <= report.latency_ms["p99"]
    assert report.peak_per_second
    assert report.ledger_us_per_request > 0
    assert [a.name for a in report.advice] == ["hold TTL", "workers", "ledger's thread"]
    shown = StringIO()
    show(report, Console(file=shown, width=120))
    assert "Conservation holds." in shown.getvalue()


async def test_the_live_ledger_and_its_journal_stay_as_they_were(room: Room, other: str) -> None:
    config = structs.replace(await stock(room), rehearsal_redis_url=other)
    state, entries, commands = await room.state(), await room.journal.heads(), await written(room)
    report = await play(config)
    assert await written(room) == commands
    assert (await room.state(), await room.journal.heads()) == (state, entries)
    assert "4 × INFO" not in report.live["Asked of the live ledger:"]
    async with copying.reading(config) as journal, asking(journal._settings.url) as connection:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("delete from entries")
    assert await keys_at(other) == 0, "the copy is taken away"


async def keys_at(url: str) -> int:
    connection = await connected(url)
    try:
        return await connection.ask("DBSIZE")
    finally:
        await connection.end()


async def test_the_same_seed_has_the_same_outcome(room: Room, other: str) -> None:
    config = structs.replace(await stock(room), rehearsal_redis_url=other)
    one, two, three = [await play(config, structs.replace(CALM, seed=seed)) for seed in (7, 7, 8)]

    def outcome(report: Report) -> tuple:
        return report.reservations, report.refused, report.units, [(s.sku, s.sold) for s in report.skus]

    assert outcome(one) == outcome(two)
    assert outcome(one) != outcome(three)


async def test_what_is_abandoned_comes_back_and_is_told(room: Room, other: str) -> None:
    config = structs.replace(await stock(room, ttl_seconds=300), rehearsal_redis_url=other)
    report = await play(config, structs.replace(CALM, conversion=0.5, bots=0.1))
    assert report.ok, report.checks
    assert report.units["expired"] > 0
    assert report.units["released"] > 0
    assert report.reservations["held"] == 0
    assert sum(s.sold + s.left for s in report.skus) == 90
    assert report.refused["limit_exceeded"] > 0, "bots that ask again"


@pytest.mark.parametrize("by", ["url", "name"])
async def test_the_live_server_is_refused_by_whatever_name(room: Room, by: str) -> None:
    config = await stock(room)
    parts = urlsplit(room.url)
    url = room.url if by == "url" else room.url.replace(parts.hostname or "", "localhost")
    before = await room.state()
    with pytest.raises(RehearsalRefused, match="live ledger's own server"):
        await play(structs.replace(config, rehearsal_redis_url=url))
    assert await room.state() == before


async def test_a_replica_of_the_live_server_is_refused(room: Room, other: str) -> None:
    config = structs.replace(await stock(room), rehearsal_redis_url=other)
    live, connection = urlsplit(room.url), await connected(other)

    async def follows() -> bool:
        return b"master_link_status:up" in await connection.ask("INFO", "replication")

    try:
        await connection.ask("CONFIG", "SET", "masterauth", live.password or "")
        await connection.ask("REPLICAOF", live.hostname or "", live.port or 0)
        await wait_until_async(follows, 20, "the replica follows")
        with pytest.raises(RehearsalRefused, match="a replica of it"):
            await play(config)
    finally:
        await connection.ask("REPLICAOF", "NO", "ONE")
        await connection.ask("FLUSHALL")
        await connection.end()


async def test_an_unknown_campaign_and_an_empty_journal_are_told(room: Room, other: str) -> None:
    config = structs.replace(await stock(room), rehearsal_redis_url=other)
    with pytest.raises(RehearsalRefused, match="no campaign other"):
        await rehearse("other", CALM, config, lambda *_: None)
    with pytest.raises(RehearsalRefused, match="no ledger in namespace elsewhere"):
        await rehearse("bf", CALM, structs.replace(config, namespace="elsewhere"), lambda *_: None)
    assert await keys_at(other) == 0


async def test_a_recording_is_played_as_it_was(room: Room, other: str, tmp_path: Path) -> None:
    config = structs.replace(await stock(room), rehearsal_redis_url=other)
    lines = [{"at": n * 6, "customer": f"c{n}", "lines": [{"sku": "B", "quantity": 4}], "then": "confirm", "after": 5}
             for n in range(9)]  # fmt: skip
    path = tmp_path / "sale.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    report = await play(config, structs.replace(CALM, recording=path))
    assert report.ok
    assert (report.reservations["committed"], report.refused) == (7, {"insufficient": 2})
    path.write_text('{"at": 1, "lines": []}\n')
    with pytest.raises(RehearsalRefused, match="line 1"):
        await play(config, structs.replace(CALM, recording=path))


async def test_an_earlier_sale_is_replayed_from_the_journal(room: Room, other: str) -> None:
    config = structs.replace(await stock(room, ttl_seconds=120), rehearsal_redis_url=other)
    now = {"starts_at": "2020-01-01T00:00:00Z", "ends_at": "2100-01-02T00:00:00Z", "opens": 1, "closes": 1 << 42}
    body = {**now, "skus": {"B": {"quantity": 9}}, "channels": ["web"], "per_customer": 3, "ttl_seconds": 300}
    await room.ledger.put_policy(PutPolicy("campaign", "old", json.dumps(body), skus=["B"]))
    wanted = [structs.replace(reserve(f"o{n}", 2, "B", 300_000), campaign="old", customer=f"c{n}") for n in range(5)]
    ends = [Confirm(wanted[0].id, Change(1, 1), "", []), Release(wanted[1].id, Change(2, 2), "all", [])]
    await room.apply(*wanted, reserve("else", 1, "B"), *ends)
    await room.drain()
    report = await play(config, Settings(seconds=0.5, replayed="old", window_seconds=60))
    assert report.ok, report.checks
    assert report.visits == 4, "the fifth was refused, the sixth was of no campaign"
    assert report.reservations == {"held in all": 4, "committed": 1, "released": 1, "expired": 2, "held": 0}
    told = "Reservations: 4 in all, 1 committed, 1 released, 2 expired, 0 still held; "
    assert outcome(report)[1].startswith(told), "no word twice"
    assert "journal has them of old" in report.visits_from
    again = await rehearse("old", Settings(seconds=0.5, replayed="old", window_seconds=60), config, lambda *_: None)
    assert (again.ok, again.reservations["held in all"]) == (True, 4), "what it sold in life counts no more"
    with pytest.raises(RehearsalRefused, match="no reservation of the campaign bf"):
        await play(config, structs.replace(CALM, replayed="bf"))


async def test_the_page_needs_nothing_from_elsewhere(room: Room, other: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    config = structs.replace(await stock(room), rehearsal_redis_url=other)
    report = await play(config)
    page.write(tmp_path / "rehearsal.html", structs.replace(report, campaign="<b>bf"))
    text = (tmp_path / "rehearsal.html").read_text()
    assert sum(granted for _, _, granted in report.timeline) == report.reservations["held in all"]
    assert text.count("<svg") == 1
    assert "&lt;b&gt;bf" in text
    assert "Conservation holds." in text
    assert "without HTTP" in text
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)[^"'\s>]+|@import|<script|<b>""", text) == []


async def test_a_law_that_oversells_turns_it_red(room: Room, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = structs.replace(await stock(room, quantity=500), rehearsal_redis_url=other)
    text = library.text()
    search = "return places, known + 1"
    assert text.count(search) == text.count(NEXT) == 1
    text = text.replace(search, "return places, 1")
    broken = library.finish(text.replace(NEXT, f"free_units = function() return 1000000 end\n\n{NEXT}"))
    monkeypatch.setattr(library, "source", lambda: broken)
    report = await play(config)
    failed = {check.name for check in report.checks if not check.ok}
    assert not report.ok
    assert "oversold" in failed, report.checks
    assert "known" not in failed


async def test_a_ledger_of_two_partitions(
    valkey: str, migrated: str, namespace: str, other: str, tmp_path: Path
) -> None:
    room = Room(valkey, migrated, namespace, partitions=2)
    await room.open()
    try:
        config = structs.replace(await stock(room, second="D"), partitions=2, rehearsal_redis_url=other)
        await room.drain(1)
        basket = [{"sku": "A", "quantity": 2}, {"sku": "D", "quantity": 1}]
        lines = [{"at": n, "customer": f"c{n}", "lines": basket, "then": "confirm", "after": 5} for n in range(40)]
        path = tmp_path / "sale.ndjson"
        path.write_text("\n".join(map(json.dumps, lines)))
        report = await play(config, structs.replace(CALM, recording=path))
        assert report.ok, report.checks
        assert {s.sku: s.sold for s in report.skus} == {"A": 60, "D": 30}
    finally:
        await room.close()


async def test_the_command(room: Room, other: str) -> None:
    config = await stock(room)
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ATP_REDIS_URL": room.url,
        "ATP_DATABASE_URL": config.database_url, "ATP_NAMESPACE": room.namespace, "ATP_REHEARSAL_REDIS_URL": other,
    }  # fmt: skip

    async def atp(*words: str) -> tuple[int, str, str]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "atp", "rehearse", *words, env=environment, cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await child.communicate()
        return child.returncode or 0, out.decode(), err.decode()

    quick = ("--buyers", "50", "--seconds", "0.5", "--conversion", "1")
    silent, told, wrong = await asyncio.gather(
        atp("bf", *quick, "--json"), atp("bf", *quick, "--seed", "2"), atp("none", *quick)
    )
    code, out, err = silent
    assert code == 0, err
    assert json.loads(out)["ok"] is True
    assert "at most" not in err
    assert "This takes about" in told[2]
    assert "at most" in told[2]
    assert wrong[0] == 1
    assert "there is no campaign none" in wrong[2]
    assert "Traceback" not in wrong[2]
