"""``atp dlq``: dead letters on a terminal, with nothing but NATS."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import nats as nats_client
import pytest
from nats.aio.client import Client

from atp.cli.app import run
from atp.dev.nats import Nats
from atp.dev.ports import free_port
from atp.ingest import Settings, ensure_streams

SETTINGS = Settings()


def with_nats[T](url: str, act: Callable[[Client], Awaitable[T]]) -> T:
    async def acted() -> T:
        nc = await nats_client.connect(url)
        try:
            return await act(nc)
        finally:
            await nc.close()

    return asyncio.run(acted())


async def fill(nc: Client) -> None:
    js = nc.jetstream()
    await ensure_streams(js, SETTINGS)
    for n, (source, subject) in enumerate([("wms", "stock.v1.wms")] * 3 + [("erp", "stock.v1.erp"), ("_", "x")], 1):
        headers = {
            "atp-reason": "invalid-data", "atp-detail": "$.lines[0].quantity", "atp-subject": subject,
            "atp-stream-sequence": str(n), "atp-deliveries": "1", "ce-id": f"e{n}", "x-evil": "a\x1b[31mb",
        }  # fmt: skip
        await js.publish(f"stock.dlq.{source}", b'{"lines":[]}', headers=headers)


async def stored(nc: Client) -> int:
    return (await nc.jetstream().stream_info("STOCK")).state.messages


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server whose streams have the usual names, with five letters."""
    with Nats(tmp_path) as server:
        monkeypatch.setenv("ATP_NATS_URL", server.url)
        with_nats(server.url, fill)
        yield server.url


def test_the_life_of_letters(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dlq", "list"]) == 0
    assert "5 dead letters" in capsys.readouterr().out
    assert run(["dlq", "list", "--source", "wms", "--limit", "2", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [letter["id"] for letter in listed["dead_letters"]] == ["1", "2"]
    assert listed["after"] == 2

    assert run(["dlq", "show", "1"]) == 0
    shown = capsys.readouterr().out
    assert "$.lines[0].quantity" in shown
    assert '{"lines":[]}' in shown
    assert "\x1b" not in shown
    assert run(["dlq", "show", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["headers"]["ce-id"] == "e1"
    assert run(["dlq", "show", "99"]) == 1
    assert "there is no dead letter 99" in capsys.readouterr().err

    assert run(["dlq", "replay", "2", "99"]) == 1
    told = capsys.readouterr()
    assert "replayed 1" in told.out
    assert "99 stays: there is no dead letter 99" in told.err
    assert run(["dlq", "discard", "--source", "erp", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"discarded": 1, "failed": []}
    assert run(["dlq", "replay", "--all", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["replayed"], [failure["id"] for failure in told["failed"]]) == (2, [5])
    assert run(["dlq", "replay", "--source", "wms"]) == 0
    assert with_nats(url, stored) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replay"], "say which"),
        (["discard"], "say which"),
        (["discard", "1", "--all"], "by id, or choose"),
        (["discard", "1", "--source", "wms"], "by id, or choose"),
        (["replay", "--before", "yesterday"], "'yesterday' is no time"),
        (["replay", "--before", "2026-11-21T10:00:00"], "is no time such as"),
        (["replay", "--source", "a.b"], "'a.b' is no source"),
        (["list", "--limit", "0"], "--limit is 1 to 10,000"),
        (["list", "--after", "-1"], "--after is an id"),
        (["list", "--after", str(1 << 64)], "--after is an id"),
        (["show", "0"], "0 is no id"),
        (["show", str(1 << 64)], "is no id"),
        (["discard", "1", str(1 << 64), "2"], "is no id"),
    ],
)
def test_what_is_not_clear_is_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATP_NATS_URL", "nats://127.0.0.1:1")
    assert run(["dlq", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ATP_NATS_URL", raising=False)
    assert run(["dlq", "list"]) == 1
    assert "set ATP_NATS_URL" in capsys.readouterr().err
    monkeypatch.setattr("atp.cli.dlq._CONNECT_S", 0.2)
    monkeypatch.setenv("ATP_NATS_URL", f"nats://secret@127.0.0.1:{free_port()}")
    assert run(["dlq", "list"]) == 1
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "does not answer" in told.err
    assert "secret" not in told.err
    assert told.out == ""
