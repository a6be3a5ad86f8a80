"""A port that is claimed is one supervisor's, before anybody listens there."""

import socket

from atp.dev import ports


def test_two_that_start_together_get_two_ports_and_their_own_processes_join() -> None:
    wanted = ports.free_port()
    with ports.claim(wanted) as one, ports.claim(wanted) as two, socket.socket() as process:
        assert one.getsockname()[1] != two.getsockname()[1]
        process.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        process.bind(one.getsockname())
        process.listen()
