"""A ledger whose replica lives in a network namespace: between the two there is a network that can lose every packet.

One pair of interfaces carries the replication, another one the clients of the replica, so that a lost network between
the two servers is only that (R6). Needs root.
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import msgspec

from atp.dev.process import Launch
from atp.dev.server import Server
from atp.dev.valkey import Valkey

from .mirrored import Mirror, Mirrored

_NET = f"198.18.{os.getpid() % 250}"  # kept for tests of networks (RFC 2544)
_SPACE = f"atp-faults-{os.getpid()}"
_LINK, _CLIENTS = f"atpl{os.getpid()}", f"atpc{os.getpid()}"  # our ends; the others are called eth0 and eth1
_NEAR, _FAR, _GATE, _REACHED = (f"{_NET}.{n}" for n in (1, 2, 5, 6))


def missing() -> str:
    """Why there can be no network namespace here, or ""."""
    if os.geteuid() != 0:
        return "only root may make a network namespace"
    try:
        _ip("netns", "add", f"{_SPACE}-try")
        _ip("netns", "del", f"{_SPACE}-try")
    except (OSError, subprocess.CalledProcessError):
        return "no network namespace can be made here"
    return ""


class Near(Valkey):
    """The first primary, where everybody is; also heard on the network between the two."""

    heard_on = _NEAR

    def launch(self) -> Launch:
        launch = super().launch()
        return msgspec.structs.replace(launch, argv=[*launch.argv, "--bind", self.host, _NEAR])


class Far(Mirror):
    """The first replica, in a namespace of its own."""

    host = _REACHED
    heard_on = _FAR

    def launch(self) -> Launch:
        launch = super().launch()
        argv = ["ip", "netns", "exec", _SPACE, *launch.argv, "--bind", _FAR, _REACHED]
        environment = {**launch.env, "PATH": os.environ["PATH"]}
        return msgspec.structs.replace(launch, argv=argv, env=environment)


class Apart(Mirrored):
    """As its parent, but with packets between the two that are lost, instead of a wire that is silent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Near)
        self.follower = Far(self.path)

    def heard_at(self, leader: Server) -> tuple[str, int]:
        return leader.heard_on, leader.port  # type: ignore[attr-defined]

    def part(self) -> None:
        _ip("netns", "exec", _SPACE, "tc", "qdisc", "replace", "dev", "eth0", "root", "blackhole")
        subprocess.run(["tc", "qdisc", "replace", "dev", _LINK, "root", "blackhole"], check=True)

    def join(self) -> None:
        _ip("netns", "exec", _SPACE, "tc", "qdisc", "del", "dev", "eth0", "root")
        subprocess.run(["tc", "qdisc", "del", "dev", _LINK, "root"], check=True)

    async def _start_servers(self) -> None:
        _ip("netns", "add", _SPACE)
        for ours, theirs, here, there in ((_LINK, "eth0", _NEAR, _FAR), (_CLIENTS, "eth1", _GATE, _REACHED)):
            _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", _SPACE)
            _ip("address", "add", f"{here}/30", "dev", ours)
            _ip("link", "set", ours, "up")
            _ip("-n", _SPACE, "address", "add", f"{there}/30", "dev", theirs)
            _ip("-n", _SPACE, "link", "set", theirs, "up")
        _ip("-n", _SPACE, "link", "set", "lo", "up")
        await super()._start_servers()

    async def _stop(self) -> None:
        await super()._stop()
        with suppress(subprocess.CalledProcessError):  # it may never have been made
            _ip("netns", "del", _SPACE)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, stderr=subprocess.DEVNULL)
