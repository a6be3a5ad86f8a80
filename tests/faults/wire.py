"""A wire to a server that can be made slow, silent, one-sided or cut, and that remembers which batches went over it."""

import asyncio
import contextlib
import socket
import struct
from collections import Counter

from atp.dev.ports import HOST

_CHUNK = 1 << 16

#: What a batch's call looks like on the wire, and how many bytes from there on tell it from every other.
_BATCH, _HEADER = b"_apply\r\n$1\r\n1\r\n", 80


class Wire:
    """A TCP proxy in front of one server. ``delay_s`` counts each way; ``open`` and ``hearing`` hold bytes back.

    With ``open`` cleared nothing passes, and what was sent arrives late when it is set again: connections are half
    open. With ``hearing`` cleared the server hears its clients and they hear nothing back.
    """

    def __init__(self, port: int) -> None:
        self.host, self.target = HOST, port
        self.port = 0
        self.delay_s = 0.0
        self.open, self.hearing = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.hearing.set()
        self.batches: Counter[bytes] = Counter()  # headers of ledger batches by what makes each one unlike all others
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a port of its own."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every connection and stop listening."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.reset()

    def reset(self) -> None:
        """Every connection is reset, on both sides, with whatever is under way."""
        for writer in list(self._writers):
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError, ValueError):  # the latter when it is closed already
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        writers = [writer]
        try:
            server_reader, server_writer = await asyncio.open_connection(self.host, self.target)
            self._writers.add(server_writer)
            writers.append(server_writer)
            ways = [
                asyncio.create_task(self._copy(reader, server_writer, heard=False)),
                asyncio.create_task(self._copy(server_reader, writer, heard=True)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the server is away: the client learns it as it would without us
        finally:
            for each in writers:
                each.close()
                self._writers.discard(each)
            self._tasks.discard(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, heard: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await (self.hearing if heard else self.open).wait()
                if heard:
                    await self.open.wait()
                else:
                    self._note(data)
                writer.write(data)
                await writer.drain()
            await self.open.wait()  # the end is told late, too

    def _note(self, data: bytes) -> None:
        """Remember batches: number, process and session stand at the beginning of the first argument."""
        at = data.find(_BATCH)
        while at >= 0:
            if at + _HEADER <= len(data):  # one that two chunks share is not looked at
                self.batches[data[at : at + _HEADER]] += 1
            at = data.find(_BATCH, at + 1)
