"""Ports on loopback."""

import http.client
import os
import random
import socket
from collections import deque

from atp.dev.errors import DevError

HOST = "127.0.0.1"
_NEAR = 200  # how far from the wanted port the next free one is looked for

#: Below what systems give to clients and to who asks for any port (RFC 6335 §6, and Linux from 32768 on): a port from
#: here is not taken by one of them before its server listens, nor while its server is started again.
_OURS = range(10_240, 32_768)
_TRIES = 1_000

#: Sockets for datagrams with the numbers of the newest ports given out, which keep other processes from getting them.
_given: deque[int] = deque()
_GIVEN_MAX = 128


def is_free(port: int) -> bool:
    """Whether nobody has ``port``.

    Bound without SO_REUSEPORT, because a server that sets it (granian does) would start beside another one on the same
    port and share its clients silently (research/spikes.md §6). SO_REUSEADDR skips sockets in TIME_WAIT only.
    """
    with socket.socket() as probe:
        return _bind(probe, port)


def free_port(row: int = 1) -> int:
    """The first of ``row`` ports in a row that are free, and that no other process is given here meanwhile."""
    for _ in range(_TRIES):
        first = random.choice(_OURS[: 1 - row or None])  # noqa: S311 - nothing is guarded by it
        if all(is_free(port) and _keep(port) for port in range(first, first + row)):
            return first
    raise DevError(f"No free port from {_OURS[0]} to {_OURS[-1]}.")


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


def _keep(port: int) -> bool:
    """Whether nobody was given ``port`` lately; it is this process's from now on, until it has got many others."""
    mark = socket.socket(type=socket.SOCK_DGRAM)
    try:
        mark.bind((HOST, port))
    except OSError:
        mark.close()
        return False
    _given.append(mark.detach())
    if len(_given) > _GIVEN_MAX:
        os.close(_given.popleft())
    return True


def _bind(probe: socket.socket, port: int) -> bool:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((HOST, port))
    except OSError:
        return False
    return True
