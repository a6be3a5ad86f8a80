"""A port that is claimed is one supervisor's, before anybody listens there."""

import socket
import subprocess
import sys
from pathlib import Path

from atp.dev import ports

#: A process that asks for ports of a few, and ends when it is told to.
ASKING = """
from atp.dev import ports
ports._OURS = ports._OURS[:400]
print(*(ports.free_port() for _ in range(50)), ports.free_port(2), flush=True)
input()
"""


def test_two_that_start_together_get_two_ports_and_their_own_processes_join() -> None:
    wanted = ports.free_port()
    with ports.claim(wanted) as one, ports.claim(wanted) as two, socket.socket() as process:
        assert one.getsockname()[1] != two.getsockname()[1]
        process.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        process.bind(one.getsockname())
        process.listen()


def test_no_port_is_given_to_two_processes_though_nobody_listens_there_yet() -> None:
    given: list[int] = []
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": Path(__file__).parents[2]}
    children = [subprocess.Popen([sys.executable, "-c", ASKING], **options) for _ in range(3)]
    try:
        for child in children:
            assert child.stdout
            given += [int(port) for port in child.stdout.readline().split()]
    finally:
        for child in children:
            child.communicate("\n")
    assert len(given) == len(set(given)) == 3 * 51
    assert {*given} <= {*ports._OURS[:400]}
