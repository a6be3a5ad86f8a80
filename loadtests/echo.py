"""The reference of the ratio: a bare ASGI handler on the same server that only decodes and encodes the same JSON.

python -m loadtests.echo PORT
"""

import asyncio
import signal
import sys

import msgspec

from atp.api.requests import ReserveBody
from atp.api.server import serve
from atp.domain.records import Allocation, Line, Reservation
from atp.domain.views import reservation_view

_decode = msgspec.json.Decoder(ReserveBody).decode
_encode = msgspec.json.Encoder().encode
_lines = [Line("1", "SKU-1", 1, [Allocation("DC1", "", 1, 0)])]
_record = Reservation(
    "abcdefghijklmnopqrs", 1_800_000_000_000, 1_800_000_600_000, 1, 1, 1, "dev", "default", "", "", "", "", _lines, []
)
_answer = reservation_view(_record, 0, 1_800_000_000_000)
_start = {"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"application/json")]}


async def app(scope, receive, send) -> None:
    """Read, decode, encode, answer."""
    if scope["type"] != "http":
        await lifespan(receive, send)
        return
    message = await receive()
    body = message["body"]
    while message.get("more_body") and len(body) < 65_536:
        message = await receive()
        body += message["body"]
    _decode(body)
    await send(_start)
    await send({"type": "http.response.body", "body": _encode(_answer)})


async def lifespan(receive, send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def main(port: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(app, "127.0.0.1", port, stop)


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
