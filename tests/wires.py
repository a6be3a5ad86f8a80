"""A wire to a server on this machine that may be slow, frozen, or cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Wire:
    """Where the far end is, and how the wire behaves now: both may be changed while it is used."""

    def __init__(self, target: int) -> None:
        self.target = target  # port of the server
        self.port = 0  # port to connect to
        self.delay_s = 0.0  # of every piece that the server sends
        self.stale = False  # the next reply comes behind a copy of the one before
        self.flows = asyncio.Event()
        self.flows.set()
        self._pumps: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Let nothing through, both ways; connections stay open."""
        self.flows.clear()

    def thaw(self) -> None:
        self.flows.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, far_writer, back=False))
                pumps.create_task(self._pump(far_reader, writer, back=True))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._pumps.discard(task)
            for end in (writer, far_writer):
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        before = b""
        while data := await reader.read(1 << 16):
            if back and self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self.flows.wait()
            if back and self.stale and before:
                self.stale = False
                writer.write(before)
            before = data
            writer.write(data)
            await writer.drain()
        raise ConnectionError("one end is gone")

    def cut(self) -> None:
        """End every connection."""
        for pump in self._pumps:
            pump.cancel()


@asynccontextmanager
async def wire_to(target: int) -> AsyncIterator[Wire]:
    """A wire to a port of this machine, cut at the end."""
    wire = Wire(target)
    server = await asyncio.start_server(wire.serve, "127.0.0.1")
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        wire.thaw()
        wire.cut()
        server.close()
        await server.wait_closed()
