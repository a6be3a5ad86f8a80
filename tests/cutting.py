"""A wire to a server that is cut at a word: before the server hears it, or before the client hears back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


@asynccontextmanager
async def cut_at(word: bytes, url: str, *, forward: bool, times: int | None = None) -> AsyncIterator[str]:
    """URL of a proxy; ``forward`` says whether the server still gets the word whose answer is lost.

    It cuts at the word ``times``, or always, and is an honest wire from then on.
    """
    target = urlsplit(url)
    left = times

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        server_reader, server_writer = await asyncio.open_connection(target.hostname, target.port)
        answers = asyncio.create_task(_copy(server_reader, writer))
        while data := await reader.read(1 << 16):
            if word in data and left != 0:
                left = None if left is None else left - 1
                await _end(answers)
                if forward:
                    server_writer.write(data)
                    await server_reader.read(1)  # the server answers only once it is done
                break
            server_writer.write(data)
        await _end(answers)
        for end in (server_writer, writer):
            end.close()
            await asyncio.gather(end.wait_closed(), return_exceptions=True)

    proxy = await asyncio.start_server(serve, "127.0.0.1")
    port = proxy.sockets[0].getsockname()[1]
    try:
        yield target._replace(netloc=f"{target.username or ''}:{target.password}@127.0.0.1:{port}").geturl()
    finally:
        proxy.close()
        await proxy.wait_closed()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()  # the server ended it, and the client waits to hear that
