"""Server: granian inside this process's own event loop (research/spikes.md §6).

One process per worker and no master, so that the supervisor's pid file and restart simply fit. Several processes may
share a port: granian binds with SO_REUSEPORT.
"""

import asyncio
import socket

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from atp.api.settings import ApiSettings
from atp.api.stopping import AsgiApp, knows_stop

#: Connections waiting to be accepted, and connections open. Granian's own defaults (128, 1,024) hang the next client;
#: what we take on is decided by our own limits.
CONNECTIONS_MAX = 8_192

#: A request's head has to arrive within this time; a connection without requests is closed after it as well.
HEAD_TIMEOUT_MS = 30_000

#: Request line and headers together.
HEAD_MAX_BYTES = 32_768

_DEFAULTS = ApiSettings()

#: Granian's own lines go the way of all others, instead of to stdout in a form of their own.
_LOGGING = {"formatters": {}, "handlers": {}, "loggers": {"_granian": {"propagate": True}}}


class PortTaken(OSError):
    """Somebody listens on the address already; the message names it and what to do."""


async def serve(
    app: AsgiApp,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    shared: bool = False,
    settings: ApiSettings = _DEFAULTS,
) -> None:
    """Serve ``app`` until ``stop`` is set, then say so for a moment, answer what was accepted and return.

    With ``shared``, other workers may serve the same port. Else raises PortTaken if anyone does: granian would start
    beside it and each would get some of the other's requests.
    """
    if not shared:
        require_free(host, port)
    server = Server(
        knows_stop(app, stop),
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=CONNECTIONS_MAX,
        backpressure=CONNECTIONS_MAX,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_TIMEOUT_MS, max_buffer_size=HEAD_MAX_BYTES),
        log_level=LogLevels.error,
        log_dictconfig=_LOGGING,
    )
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    try:
        if not stop.is_set():
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((serving,), timeout=settings.lame_duck_s)
    finally:
        stopping.cancel()
        server.stop()
        await serving


def require_free(host: str, port: int) -> None:
    """Raises PortTaken unless the address can be had alone."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections in TIME_WAIT do not count
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(
                error.errno, f"{host}:{port} cannot be used ({error.strerror}): choose another with --port"
            ) from error
