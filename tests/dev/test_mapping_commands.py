"""``atp mapping`` and ``atp ingest FILE``."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nats as nats_client
import pytest

from atp.cli.app import run
from atp.ingest import Settings, ensure_streams
from tests.support import wait_until

ROOT = Path(__file__).parents[2]
PAYLOADS = Path(__file__).parents[1] / "rooms/mapping/payloads"
SHOPS = Path(__file__).parents[1] / "rooms/mapping/shops"


@pytest.fixture
def body(tmp_path: Path) -> Path:
    """A D365 message as it came."""
    path = tmp_path / "body.json"
    path.write_text(json.dumps(json.loads((PAYLOADS / "d365-onhand.json").read_text())["body"]))
    return path


def test_the_mappings_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mapping", "list"]) == 0
    assert "shopify " in capsys.readouterr().out
    assert run(["mapping", "list", "--json"]) == 0
    assert {"canonical", "square"} <= {one["mapping"] for one in json.loads(capsys.readouterr().out)}
    assert run(["mapping", "show", "shopify"]) == 0
    assert "# Order " in capsys.readouterr().out
    assert run(["mapping", "show", str(SHOPS / "shopify.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lookup"]["sku"]["ids"] == {"49148385": "TSHIRT-RED-M"}
    assert run(["mapping", "show", "nothing"]) == 2
    assert "nothing: no such mapping" in capsys.readouterr().err


def test_mappings_of_ones_own_come_first(
    tmp_path: Path, body: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "mine"
    own.mkdir()
    (own / "d365-onhand.toml").write_text('extends = "d365-onhand"\n[lookup.location.ids]\n"1-11" = "SHOP"\n')
    (own / "lagerix.toml").write_text('extends = "canonical"\nabout = "ours"\n')
    monkeypatch.setenv("ATP_MAPPINGS_DIR", str(own))
    assert run(["mapping", "list"]) == 0
    assert "lagerix                  ours" in capsys.readouterr().out
    assert run(["mapping", "test", "d365-onhand", str(body)]) == 0
    assert '"location":"SHOP"' in capsys.readouterr().out
    assert run(["mapping", "show", "lagerix"]) == 0
    monkeypatch.setenv("ATP_MAPPINGS_DIR", str(tmp_path / "none"))
    assert run(["mapping", "list"]) == 1
    assert "ATP_MAPPINGS_DIR" in capsys.readouterr().err


def test_a_message_is_tried(body: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["mapping", "test", "d365-onhand", str(body), "--received", "2026-11-20T09:14:03Z"]
    assert run(asked) == 0
    shown = capsys.readouterr().out
    assert "atp.stock.delta.v1  2026-11-20T09:14:03Z  id pos-0001-20261120-000417" in shown
    assert '"quantity":-3' in shown
    assert run([*asked, "--json", "--source", "pos"]) == 0
    assert [event["source"] for event in json.loads(capsys.readouterr().out)["events"]] == ["pos", "pos"]


def test_a_plain_file_is_read_as_its_name_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("sku,location,quantity\nA,DC1,5\n")
    assert run(["mapping", "test", "canonical", str(file)]) == 0
    assert '{"lines":[{"sku":"A","location":"DC1","quantity":5}]}' in capsys.readouterr().out


def test_a_refusal_is_told(body: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mapping", "test", "square", str(body)]) == 1
    assert "not-accepted: accept[0]" in capsys.readouterr().err
    assert run(["mapping", "test", "shopify", str(body), "--header", "x-shopify-topic: a", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["reason"] == "not-accepted"
    assert run(["mapping", "test", "square", "nowhere.json"]) == 1
    assert run(["mapping", "test", "square", str(body), "--header", "x"]) == 2


def test_a_wrong_mapping_gives_2(tmp_path: Path, body: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('extends = "shopify"\nevnts = []\n')
    assert run(["mapping", "test", str(wrong), str(body)]) == 2
    assert capsys.readouterr().err.strip() == f"atp: {wrong}: evnts: there is no such key"


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """A file with a broken line."""
    path = tmp_path / "stock.csv"
    path.write_text("sku,location,quantity,measure\nA,DC1,5,on_hand\nB,DC1,x,\nC,DC2,7,\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--as", "canonical"], "say as of when the file is true"),
        (["--as", "canonical", "--sequence", "1", "--version-time", "2026-11-20T09:00:00Z"], "not both"),
        (["--as", "canonical", "--sequence", "-1"], "is no sequence"),
        (["--as", "canonical", "--version-time", "2026-11-20T09:00:00"], "has no offset"),
        (["--as", "canonical", "--version-time", "2099-11-20T09:00:00Z"], "is in the future"),
        (["--as", "shopify", "--sequence", "1"], "finds versions in the file"),
        (["--as", "nothing"], "no such mapping"),
        (["--as", "canonical", "--sequence", "1", "--source", "a.b"], "cannot be part of a NATS subject"),
        ([], "--as MAPPING is missing"),
    ],
)
def test_wrong_use_of_a_file(stock: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", str(stock), *arguments]) == 2
    assert told in capsys.readouterr().err


def test_options_of_files_need_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", "--as", "canonical"]) == 2
    assert "give a FILE" in capsys.readouterr().err
    assert run(["ingest", "nowhere.csv", "--as", "canonical"]) == 2


def test_a_dry_run_tells_and_leaves_nothing(stock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", str(stock), "--as", "canonical", "--sequence", "1", "--dry-run"]) == 1
    captured = capsys.readouterr()
    assert "3 records: would publish 2 lines" in captured.out
    assert "line 3: invalid-quantity: events[0].quantity: $.quantity: 'x' is no number" in captured.err
    assert [path.name for path in stock.parent.iterdir()] == ["stock.csv"]


@pytest.fixture
def stream(nats: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The stock stream under its own name."""

    async def change(make: bool) -> None:
        nc = await nats_client.connect(nats)
        if make:
            await ensure_streams(nc.jetstream(), Settings())
        else:
            for name in (Settings().stream, Settings().dead_letters):
                await nc.jetstream().delete_stream(name)
        await nc.close()

    monkeypatch.setenv("ATP_NATS_URL", nats)
    asyncio.run(change(make=True))
    yield nats
    asyncio.run(change(make=False))


async def stored(url: str) -> list[tuple[str, str, list[dict]]]:
    """Subject, version and lines of every message of the stock stream."""
    nc = await nats_client.connect(url)
    js = nc.jetstream()
    last = (await js.stream_info("STOCK")).state.last_seq
    messages = [await js.get_msg("STOCK", seq) for seq in range(1, last + 1)]
    await nc.close()
    return [
        (one.subject or "", (one.headers or {})["ce-sequence"], json.loads(one.data or b"")["lines"])
        for one in messages
    ]


def test_a_file_is_published(stream: str, stock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["ingest", str(stock), "--as", "canonical", "--source", "wms", "--sequence", "9", "--json"]
    for _ in range(2):
        assert run(asked) == 1
        told = json.loads(capsys.readouterr().out)
        assert (told["records"], told["lines"], told["rejected"], told["source"]) == (3, 2, 1, "wms")
    rejects = stock.with_name("stock.csv.rejects.ndjson")
    assert [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == [3]

    assert asyncio.run(stored(stream)) == [
        ("stock.v1.wms", "9", [{"sku": "A", "location": "DC1", "quantity": 5, "measure": "on_hand"}]),
        ("stock.v1.wms", "9", [{"sku": "C", "location": "DC2", "quantity": 7}]),
    ]
    stock.write_text(stock.read_text().replace("x", "6"))
    assert run(asked[:-1]) == 0
    assert "3 records: published 3 lines in 2 events of wms" in capsys.readouterr().out
    assert not rejects.exists()


def test_a_killed_run_goes_on_where_it_was(stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "big.csv"
    rows = [f"S{n},DC{n % 3},{n}\n" for n in range(90_000)]
    rows[7] = rows[80_000] = "broken\n"
    file.write_text("sku,location,quantity\n" + "".join(rows))
    asked = ["ingest", str(file), "--as", "canonical", "--source", "wms", "--sequence", "9"]
    progress = tmp_path / "big.csv.atp-progress"
    for _ in range(5):  # one that was done before it could be killed ran in vain: its events are known now
        running = subprocess.Popen([sys.executable, "-m", "atp", *asked], cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: progress.exists() or running.poll() is not None, 60, "a first step")  # noqa: B023
        finally:
            running.kill()
            running.wait()
        if progress.exists():
            break
    assert run([*asked, "--resume", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["resumed_at"] >= 20_000
    assert (told["records"], told["lines"], told["rejected"]) == (90_000, 89_998, 2)
    rejects = (tmp_path / "big.csv.rejects.ndjson").read_text().splitlines()
    assert [json.loads(line)["line"] for line in rejects] == [9, 80_002]
    assert not progress.exists()
    found = [line for _, _, lines in asyncio.run(stored(stream)) for line in lines]
    assert [(line["sku"], line["quantity"]) for line in found] == [
        (f"S{n}", n) for n in range(90_000) if n not in (7, 80_000)
    ]


def test_without_a_stream_there_is_nowhere_to_send_it(
    nats: str, stock: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATP_NATS_URL", nats)
    assert run(["ingest", str(stock), "--as", "canonical", "--sequence", "1"]) == 1
    assert "there is no stream STOCK yet" in capsys.readouterr().err
    monkeypatch.delenv("ATP_NATS_URL")
    monkeypatch.chdir(stock.parent)
    assert run(["ingest", str(stock), "--as", "canonical", "--sequence", "1"]) == 1
    assert "set ATP_NATS_URL" in capsys.readouterr().err


def test_a_capture_brings_its_headers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mapping", "test", str(SHOPS / "shopify.toml"), str(PAYLOADS / "shopify.json"), "--json"]) == 0
    (event,) = json.loads(capsys.readouterr().out)["events"]
    assert (
        event["id"]
        == json.loads((PAYLOADS / "shopify.json").read_text())["transport"]["headers"]["X-Shopify-Webhook-Id"]
    )
