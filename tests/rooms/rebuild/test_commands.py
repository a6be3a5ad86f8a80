"""`atp rebuild` and `atp baseline` as processes of their own."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from atp.cli.baseline import _baseline
from atp.cli.errors import Refused
from atp.cli.nightly import Nightly
from atp.cli.rebuild import _rebuild
from atp.config import Config
from tests.rooms.rebuild.room import Room, level, reserve, reserves
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


async def atp(room: Room, *words: str) -> tuple[int, str, str]:
    """Exit code, output and what was said to people."""
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ATP_REDIS_URL": room.url,
        "ATP_DATABASE_URL": room.journal._settings.url, "ATP_NAMESPACE": room.namespace,
    }  # fmt: skip
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "atp", *words, env=environment, cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await child.communicate()
    return child.returncode or 0, out.decode(), err.decode()


@pytest.mark.soak
async def test_by_hand(room: Room) -> None:
    await room.apply(level(10), *reserves(3))
    await room.drain()
    code, out, _ = await atp(room, "baseline", "--json")
    assert (code, json.loads(out)) == (0, {"0": room.ledger.position(0)})
    code, _, err = await atp(room, "rebuild")
    assert code == 1
    assert "add --yes" in err
    await room.apply(*reserves(1, "later"))
    stop = asyncio.Event()
    sweeping = asyncio.create_task(room.ledger.sweep(stop))  # this process tells what it has seen
    await room.lose()
    code, out, err = await atp(room, "rebuild", "--yes", "--json")
    stop.set()
    await sweeping
    assert code == 0, err
    (rebuilt,) = json.loads(out)["rebuilt"]
    assert rebuilt["epoch"] == 2
    assert rebuilt["baseline"] > 1
    assert "are gone" in rebuilt["loss"]
    async with room.watched():
        await room.serves(2)
        assert [r.outcome.name for r in await room.apply(reserve("new"))] == ["RECOVERING"]
        code, out, err = await atp(room, "rebuild", "--accept-loss", "--json")
        assert (code, json.loads(out)) == (0, {"rebuilt": [], "accepted": [0]}), err
        assert [r.outcome.name for r in await room.apply(reserve("new"))] == ["APPLIED"]
        code, _, err = await atp(room, "baseline", "--live")
        assert (code, err.strip()) == (0, f"partition 0: baseline at {room.ledger.position(0)}")


async def test_a_baseline_is_no_rebuild_and_none_has_no_position(
    room: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("atp.rebuild.progress.log", told := CapturingLogger())
    await room.apply(level(10))
    await room.drain()
    config = Config(redis_url=room.url, database_url=room.journal._settings.url, namespace=room.namespace)
    capsys.readouterr()
    assert await _baseline(config, False, True) == 0
    assert json.loads(capsys.readouterr().out) == {"0": room.ledger.position(0)}
    assert await _baseline(config, False, True) == 0
    assert json.loads(capsys.readouterr().out) == {"0": None}
    assert {call.args for call in told.calls} == {("making a baseline",)}


async def test_by_hand_beside_processes_that_would_do_it_too(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    """They find a ledger that is gone as soon as it is begun anew, and leave it to who began; one that is at it first
    is left alone by the command."""
    await room.apply(level(10), *reserves(3))
    config = Config(redis_url=room.url, database_url=room.journal._settings.url, namespace=room.namespace)
    async with room.watched():
        assert await _rebuild(config, False, True, True) == 0
        told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith('{"rebuilt"'))
        (rebuilt,) = json.loads(told)["rebuilt"]
        assert (rebuilt["epoch"], rebuilt["loss"]) == (2, "")
        await room.serves(2)
    await wait_until_async(
        lambda: room.ledger.lease("rebuild-0", "other", 60_000), description="who looked last has given the lease back"
    )
    with pytest.raises(Refused, match="another process"):
        await _rebuild(config, False, True, True)


async def test_a_baseline_is_made_when_it_is_time(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    await room.apply(level(10))
    await room.drain()
    async with room.journal._connections.take() as connection:
        await connection.execute("update entries set body = jsonb_set(body::jsonb, '{2}', '1000')")
    for name, value in (("REDIS_URL", room.url), ("DATABASE_URL", room.journal._settings.url)):
        monkeypatch.setenv("ATP_" + name, value)
    monkeypatch.setenv("ATP_NAMESPACE", room.namespace)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stop = asyncio.Event()
    running = asyncio.create_task(Nightly(room.journal, 1, 24, look_s=0.05).run(stop))

    async def made() -> bool:
        return await room.journal.baselines.newest(0) is not None

    await wait_until_async(made, 15, "the baseline")
    stop.set()
    await running
