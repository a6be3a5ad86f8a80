"""Ports on loopback."""

import socket

HOST = "127.0.0.1"


def is_free(port: int, host: str = HOST) -> bool:
    """Whether nobody listens on ``port``.

    Bound without SO_REUSEPORT, because a server that sets it (granian does) would start beside another one on the same
    port and share its clients silently (research/spikes.md §6). SO_REUSEADDR skips sockets in TIME_WAIT only.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = HOST) -> int:
    """Some port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
