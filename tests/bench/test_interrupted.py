"""A measurement that somebody ends says nothing about it: no traceback, no words of a client that lost its server."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from atp.bench import ingest, overload
from atp.bench.machine import Machine
from atp.bench.report import Report
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc")
async def test_overload_whose_rows_are_just_starting(capfd: pytest.CaptureFixture[str]) -> None:
    async def importing() -> bool:
        return _child_imports()

    playing = asyncio.create_task(overload._play(8, 1.0))
    await wait_until_async(importing, description="the child imports")
    await _ended(playing)
    assert capfd.readouterr() == ("", "")


async def test_ingest_that_is_connected(caplog: pytest.LogCaptureFixture) -> None:
    async def connected() -> bool:
        return len(_listening()) == 2

    async def none() -> bool:
        return not _listening()

    playing = asyncio.create_task(
        ingest.measure(ingest.Asked(), Report("ingest", "", "", {}, Machine("cpu", 2, 4.0, "kernel", "python", "ext4")))
    )
    await wait_until_async(connected, 30, "both connections are there")
    await _ended(playing)
    await wait_until_async(none, description="the clients saw it")
    assert [record.getMessage() for record in caplog.records if record.name.startswith("nats")] == []


def _child_imports() -> bool:
    with contextlib.suppress(OSError):
        pids = [pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]
        return any("/msgspec/" in Path(f"/proc/{pid}/maps").read_text() for pid in pids)
    return False


def _listening() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "_read_loop"]


async def _ended(playing: asyncio.Task[Any]) -> None:
    playing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await playing
