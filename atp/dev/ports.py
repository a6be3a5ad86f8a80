"""Ports on loopback."""

import http.client
import socket

from atp.dev.errors import DevError

HOST = "127.0.0.1"
_NEAR = 200  # how far from the wanted port the next free one is looked for


def is_free(port: int) -> bool:
    """Whether nobody has ``port``.

    Bound without SO_REUSEPORT, because a server that sets it (granian does) would start beside another one on the same
    port and share its clients silently (research/spikes.md §6). SO_REUSEADDR skips sockets in TIME_WAIT only.
    """
    with socket.socket() as probe:
        return _bind(probe, port)


def free_port() -> int:
    """Some port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def near(wanted: int) -> int:
    """``wanted`` if it is free, else the next free port above it."""
    for port in range(wanted, min(wanted + _NEAR, 65536)):
        if is_free(port):
            return port
    raise DevError(f"No free port from {wanted} to {wanted + _NEAR}.")


def claim(wanted: int) -> socket.socket:
    """Keep ``wanted``, or the next free port, for our API processes for as long as the socket is open.

    Two supervisors that start together would both find a port free, and their API processes would share it. The claim
    is bound alone; only then is SO_REUSEPORT set, so that processes of ours may join, while it never listens itself.
    SO_REUSEADDR is taken back: two sockets that have it and do not listen may share a port on Linux.
    """
    for port in range(wanted, min(wanted + _NEAR, 65536)):
        claimed = socket.socket()
        if _bind(claimed, port):
            claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            return claimed
        claimed.close()
    raise DevError(f"No free port from {wanted} to {wanted + _NEAR}.")


def is_healthy(port: int, path: str) -> bool:
    """Whether who listens there answers this health page with 200. Quick; never raises."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _bind(probe: socket.socket, port: int) -> bool:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((HOST, port))
    except OSError:
        return False
    return True
