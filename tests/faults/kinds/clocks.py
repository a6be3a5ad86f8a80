"""Clocks that jump: of the machine an own process runs on, or of the ledger's (R22)."""

import shutil
import subprocess
from pathlib import Path
from random import Random

import msgspec

from atp.dev import files
from atp.dev.process import Launch
from atp.dev.valkey import Valkey
from tests.faults.stack import Stack

from .fault import Fault

_SOURCE = Path(__file__).parents[1] / "clock.c"


class JumpClock(Fault):
    """The API's machine has another time than the ledger's; it is started anew with it."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"clock of the API {seconds:+d} s")
        self._seconds = seconds

    async def inject(self, stack: Stack, rng: Random) -> None:
        await stack.up("api", f"clock={self._seconds}")

    async def heal(self, stack: Stack) -> None:
        await stack.up("api", "")


class Adjustable(Valkey):
    """A server that asks us for the time: the library that it loads first answers instead of the system's."""

    def launch(self) -> Launch:
        launch = super().launch()
        library = self.directory / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE)], check=True)
        if not self._ahead.exists():
            self.set_ahead(0)
        libraries = [str(library), launch.env.get("LD_PRELOAD", "")]  # its allocator stays
        clock = {"LD_PRELOAD": " ".join(libraries).strip(), "CLOCK_AHEAD": str(self._ahead)}
        return msgspec.structs.replace(launch, env={**launch.env, **clock})

    def set_ahead(self, seconds: int) -> None:
        """Its clock is ahead by so many seconds, at once."""
        self._ahead.touch()
        with self._ahead.open("r+b") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))

    @property
    def _ahead(self) -> Path:
        return files.private_dir(self.directory) / "clock"


class JumpServerClock(Fault):
    """The clock of the ledger's machine jumps, and jumps back; every sender's goes on as before."""

    ledger = Adjustable
    clock_slack_s = 2.0  # it never runs backward: behind a jump back it stands until it is healed

    def __init__(self, seconds: int) -> None:
        super().__init__(f"clock of the ledger's server {seconds:+d} s")
        self._seconds = seconds

    def missing(self) -> str:
        return "" if shutil.which("cc") else "no C compiler for a clock that can be set"

    async def inject(self, stack: Stack, rng: Random) -> None:
        self._set(stack, self._seconds)

    async def heal(self, stack: Stack) -> None:
        self._set(stack, 0)

    def _set(self, stack: Stack, seconds: int) -> None:
        server = stack.servers["valkey"]
        assert isinstance(server, Adjustable)
        server.set_ahead(seconds)
