"""``atp explain``: of the API now, of the journal before, and what it says when neither can tell."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from atp.cli.app import run
from atp.domain.commands import Change, Confirm, Level, PutPolicy, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.rules import apply
from atp.domain.state import State
from atp.journal import Journal, migrate
from tests.support import patient_journal

ANSWER = {
    "position": "0:7",
    "explain": {
        "terms": [{"term": "location", "quantity": 5, "location": "DC1"}],
        "ats": 5,
        "locations": [
            {
                "location": "DC1",
                "terms": [
                    {"term": "level", "quantity": 9, "source": "wms", "version": "17"},
                    {"term": "held", "quantity": -4},
                ],
                "free": 5,
                "limits": [],
                "ats": 5,
                "other_sources": [{"source": "erp", "role": "shadow", "quantity": 12}],
            }
        ],
    },
}


class Asked(BaseHTTPRequestHandler):
    """An API that answers one sku."""

    paths: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.paths.append(f"{self.path} {self.headers['authorization']}")
        known = self.path.startswith("/v1/availability/A")
        body = json.dumps(ANSWER if known else {"title": "Not found", "detail": "There is no such thing."}).encode()
        self.send_response(200 if known else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Where the settings lead; what was asked there."""
    server = HTTPServer(("127.0.0.1", 0), Asked)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("ATP_API_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("ATP_API_KEY", "k-1")
    Asked.paths.clear()
    yield Asked.paths
    server.shutdown()
    thread.join()
    server.server_close()


def test_now_the_api_is_asked(api: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "A", "--channel", "web"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for part in ("A at 0:7: 5 available to sell", "level", "+9", "wms, version 17", "held", "-4",
                 "erp (shadow) says 12"):  # fmt: skip
        assert part in shown
    assert run(["explain", "A", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"sku": "A", **ANSWER}
    assert api == ["/v1/availability/A?explain=true&channel=web Bearer k-1",
                       "/v1/availability/A?explain=true Bearer k-1"]  # fmt: skip


def test_a_sku_that_nobody_told_of_is_not_one_that_is_sold_out(
    api: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ANSWER["explain"], "locations", [])
    assert run(["explain", "A"]) == 0
    assert "No source has told of this sku" in capsys.readouterr().err


def test_a_name_travels_as_one_piece_of_the_path(api: list[str]) -> None:
    assert run(["explain", "A/1 é", "--json"]) == 0
    assert api == ["/v1/availability/A%2F1%20%C3%A9?explain=true Bearer k-1"]


def test_what_the_api_refuses_is_said(api: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "nothing"]) == 1
    assert "404: There is no such thing." in capsys.readouterr().err


def test_the_running_dev_is_found(
    api: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    url = os.environ["ATP_API_URL"]
    monkeypatch.delenv("ATP_API_URL")
    monkeypatch.chdir(tmp_path)
    assert run(["explain", "A"]) == 1
    assert "ATP_API_URL" in capsys.readouterr().err
    (tmp_path / ".atp").mkdir()
    (tmp_path / ".atp" / "endpoints.json").write_text(json.dumps({"api": url, "api_key": "k-2"}))
    assert run(["explain", "A", "--json"]) == 0
    assert api == ["/v1/availability/A?explain=true Bearer k-2"]


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch, database: str, namespace: str) -> list[int]:
    """A journal of a short life; the seqs after each step."""
    state, now, seqs = State(), 4_000_000_000_000, []
    entries: list = []
    id = reservation_id("shop", "k", "A")
    for command in (
        PutPolicy("location", "DC1", '{"kind":"warehouse"}'),
        Level("A", "DC1", "wms", 10, "sequence", (0, 7), "", 0, 0),
        Reserve(id, 1, "shop", "web", "", "", "", "", 600_000, [ReserveLine("1", "A", 4)]),
        Confirm(id, Change(1, 1), "", []),
        Level("A", "DC1", "wms", 3, "sequence", (0, 8), "", 0, 0),
    ):
        entries += apply(state, [command], now)[1]
        seqs.append(state.seq)

    async def keep() -> None:
        await migrate(database)
        journal = Journal(patient_journal(database, namespace))
        await journal.open()
        claim = await journal.claim(0, "me")
        await journal.append(0, 0, entries, claim.fence)
        await journal.close()

    asyncio.run(keep())
    monkeypatch.setenv("ATP_DATABASE_URL", database)
    monkeypatch.setenv("ATP_NAMESPACE", namespace)
    return seqs


def test_an_earlier_position_is_read_from_the_journal(history: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for seq in history:
        assert run(["explain", "A", "--at", f"0:{seq}", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["sku"], told["position"]) == ("A", f"0:{seq}")
        terms = [[(t["term"], t["quantity"]) for t in at["terms"]] for at in told["explain"]["locations"]]
        found.append((told["explain"]["ats"], terms))
    assert found == [
        (0, []),
        (10, [[("level", 10)]]),
        (6, [[("level", 10), ("held", -4)]]),
        (6, [[("level", 10), ("committed", -4)]]),
        (0, [[("level", 3), ("committed", -4)]]),
    ]
    assert run(["explain", "A", "--at", f"0:{history[2]}"]) == 0
    assert "6 available to sell" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["A", "--at", "yesterday"], 2, "is no position"),
        (["A", "--at", "1:5"], 2, "lives in partition 0"),
        (["A", "--at", "0:99999"], 1, "ends at"),
        (["A", "--at", "0:1", "--channel", "web"], 2, "--channel"),
    ],
)
@pytest.mark.usefixtures("history")
def test_a_position_that_cannot_be_told(
    arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *arguments]) == code
    assert told in capsys.readouterr().err
