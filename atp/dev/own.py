"""The service's own processes as programs to supervise: ``python -m atp serve | ingest | drain``."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import atp
from atp import config
from atp.dev import ports
from atp.dev.process import Launch


class Own:
    """One process of the service."""

    stop_signal = signal.SIGTERM

    def __init__(self, state_dir: Path, name: str, arguments: list[str], settings: Mapping[str, str]) -> None:
        self.name = name
        self._state_dir = state_dir
        self._arguments = arguments
        self._settings = settings

    @property
    def log(self) -> Path:
        return self._state_dir / "log" / f"{self.name}.log"

    def launch(self) -> Launch:
        # The same code must run there, also where it is not installed and our working directory made it importable.
        package = str(Path(atp.__file__).parent.parent)
        environment = config.child_environment({**self._settings, "PYTHONPATH": package})
        return Launch([sys.executable, "-m", "atp", *self._arguments], environment, str(self._state_dir / "run"))

    def answers(self, pid: int) -> bool:
        return True


class Api(Own):
    """An API process; several share the port."""

    def __init__(self, state_dir: Path, name: str, port: int, settings: Mapping[str, str], *flags: str) -> None:
        super().__init__(state_dir, f"api-{name}", ["serve", "--shared", "--port", str(port), *flags], settings)
        self._port = port

    def answers(self, pid: int) -> bool:
        return ports.is_healthy(self._port, "/health/ready")
