"""Our own load generator, against a real server that stalls."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from atp.bench import asks, load
from atp.bench.callers import Callers, Plan, Seen

pytestmark = pytest.mark.anyio

STALL_S = 0.5


@asynccontextmanager
async def server(stall_at: int = -1, status: int = 201) -> AsyncIterator[tuple[int, set[bytes]]]:
    """Answers each request at once, but holds everybody up once, at the ``stall_at``-th; with the keys it saw."""
    keys: set[bytes] = set()
    answering = asyncio.Event()
    answering.set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
                await reader.readexactly(int(lines[b"Content-Length"]))
                keys.add(lines[b"Idempotency-Key"])
                if len(keys) == stall_at:
                    answering.clear()
                    asyncio.get_running_loop().call_later(STALL_S, answering.set)
                await answering.wait()
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\n{}" % status)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1], keys
    finally:
        listening.close()


async def play(tmp_path: Path, port: int, connections: int, seconds: float, rate: float = 0.0) -> Seen:
    path = tmp_path / "asks"
    asks.write(path, [asks.Asks(f"http://127.0.0.1:{port}", "key").reserve("SKU")])
    return await Callers(Plan("127.0.0.1", port, str(path), connections, seconds, rate)).run()


async def test_an_open_loop_counts_what_a_stall_kept_from_being_sent(tmp_path: Path) -> None:
    """One connection, 200 requests a second, half a second of silence: a hundred requests were due in it."""
    async with server(stall_at=20) as (port, keys):
        seen = await play(tmp_path, port, 1, 0.8, 200.0)
    assert seen.requests == len(keys) == 160
    assert seen.p99_ms > 400
    # Counted from when they were sent, one request of 160 would have waited: the median would show nothing.
    assert seen.p50_ms > 20


async def test_a_closed_loop_sends_again_when_it_was_answered(tmp_path: Path) -> None:
    async with server() as (port, keys):
        seen = await play(tmp_path, port, 4, 0.2)
    assert seen.requests == len(keys) > 20
    assert (seen.refused, seen.errors) == (0, 0)


async def test_refusals_are_counted(tmp_path: Path) -> None:
    async with server(status=503) as (port, _):
        seen = await play(tmp_path, port, 2, 0.1)
    assert seen.refused == seen.requests > 0


async def test_a_request_that_is_never_answered_is_an_error_and_waited_that_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atp.bench.callers.GRACE_S", 0.1)
    monkeypatch.setattr("tests.bench.test_callers.STALL_S", 30.0, raising=False)
    async with server(stall_at=5) as (port, _):
        seen = await play(tmp_path, port, 1, 0.3, 50.0)
    assert seen.requests == 4
    assert seen.errors == 11  # the one that hangs, and ten that were due behind it
    assert seen.p999_ms > 200


@pytest.mark.parametrize("rate", [0.0, 50.0])
async def test_without_wrk_rounds_are_driven_by_callers_of_their_own_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    monkeypatch.setattr(load, "has_wrk", lambda: False)
    async with server() as (port, keys):
        url = f"http://127.0.0.1:{port}"
        made = [asks.Asks(url, "key").reserve("A"), asks.Asks(url, "key").reserve("B")]
        found = await load.play(tmp_path, url, made, 2, 0.4, {"us": os.getpid()}, rate)
    assert found.requests == len(keys) > 0
    assert found.requests == 20 or not rate
    assert found.cpu_us["load generator"] > 0
    assert 0 < found.p50_ms <= found.p99_ms <= found.p999_ms
