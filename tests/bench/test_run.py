"""A short run against real servers: nothing is oversold, a careless peer is found out, and the exit code is 1."""

import json
from pathlib import Path

import pytest

from atp.bench import peers
from atp.bench.run import over_http
from atp.bench.serving import Asked
from atp.cli import app
from atp.cli.bench import run

#: Grants whatever it is asked for.
CARELESS = """
import sys
from contextlib import asynccontextmanager
from atp.bench.hosting import host, no_lifespan
from atp.bench.peers import Peer, Skipped, Stored

NAME = "careless"
made = {}

class Careless(Peer):
    async def seed(self, sku, units):
        made[sku] = units

    async def stored(self, sku):
        return Stored(made[sku], 0)  # it keeps nothing of what it granted

@asynccontextmanager
async def start(stack):
    async with stack.program(__file__) as (url, pid):
        yield Careless(url, {"app": pid})

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await no_lifespan(receive, send)
        return
    await receive()
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})

if __name__ == "__main__":
    host(app, int(sys.argv[1]))
"""
ABSENT = """
from contextlib import asynccontextmanager
from atp.bench.peers import Skipped

NAME = "absent"

@asynccontextmanager
async def start(stack):
    raise Skipped("its server is not on this machine")
    yield
"""


def test_a_short_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "careless.py").write_text(CARELESS)
    (tmp_path / "absent.py").write_text(ABSENT)
    (tmp_path / "_shared.py").write_text("raise AssertionError('no peer')")
    asked = Asked(
        ("reserve",), (8,), 1.0, 1, peers="all", peers_folder=tmp_path, warm_up=False, half_load=False,
    )  # fmt: skip
    code = run(over_http("reserve", asked, lambda _: None), as_json=True)
    shown = json.loads(capsys.readouterr().out)
    report = shown["report"]
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert {name for name, finding in findings.items() if not finding["ok"]} == {"oversold 0: careless"}
    assert code == shown["code"] == 1
    assert "oversold 0: 1 skus × 1 locations (one)" in findings
    assert report["skipped"] == {"absent": "its server is not on this machine"}
    assert [s["name"] for s in report["series"]] == ["bare echo, POST", "Litestar echo, POST", "reserve", "careless"]
    ours = report["series"][2]["rounds"][0]
    assert ours["requests"] > 0
    assert {"api", "valkey", "drain", "postgres", "nats", "ingest"} <= ours["cpu_us"].keys()
    assert {r["name"] for r in report["ratios"]} == {
        "reserve ÷ bare echo @8", "reserve ÷ Litestar echo @8", "reserve ÷ careless @8",
        "CPU of bare echo, POST ÷ reserve @8", "CPU of careless ÷ reserve @8",
    }  # fmt: skip


def test_peers_are_found_by_listing_their_folder() -> None:
    assert set(peers.names(peers.FOLDER)) == {
        "fastify_ioredis", "postgres_for_update", "postgres_one_statement", "postgres_row_lock", "redis_fastapi",
        "redis_litestar",
    }  # fmt: skip
    assert peers.chosen(peers.FOLDER, "none") == []
    assert peers.chosen(peers.FOLDER, "redis_fastapi, postgres_row_lock") == ["redis_fastapi", "postgres_row_lock"]
    with pytest.raises(peers.Unknown, match="no peer is called mysql; there is fastify_ioredis"):
        peers.chosen(peers.FOLDER, "mysql")


@pytest.mark.parametrize(
    "words",
    [
        ["reserve", "--connections", "64,many"],
        ["reserve", "--connections", "0"],
        ["reserve", "--seconds", "0"],
        ["reserve", "--peers", "mysql"],
        ["reserve", "--docs", "nowhere.md"],
        ["reserve", "--budgets", "nowhere.toml"],
        ["ingest", "--lines", "1001"],
        ["throughput"],
    ],
)
def test_a_mistake_is_told_before_anything_starts(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["bench", *words]) == 2
    assert "starting" not in capsys.readouterr().err
