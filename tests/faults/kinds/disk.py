"""The ledger's disk: full, slow, failing, or without what was not yet synced when the power went."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from random import Random

from atp.dev.server import Server
from tests.faults import strace
from tests.faults.checkers.violation import Violation
from tests.faults.stack import Stack
from tests.faults.strace import Strace

from .fault import Fault

_BLOCK = b"*1\r\n$5\r\nMULTI\r\n"


def log_of(server: Server) -> Path:
    """The file that the ledger's server appends to now."""
    return max((server.directory / "appendonlydir").glob("*.incr.aof"), key=lambda path: path.name)


class Traced(Fault):
    """A fault of the server's system calls."""

    def __init__(self, name: str, *arguments: str) -> None:
        super().__init__(name)
        self._arguments = arguments
        self._strace: Strace | None = None

    def missing(self) -> str:
        return strace.missing()

    async def inject(self, stack: Stack, rng: Random) -> None:
        self._strace = Strace(stack.pid("valkey"), *self._arguments)
        self._strace.start()

    async def heal(self, stack: Stack) -> None:
        if self._strace is not None:
            self._strace.end()


class SlowDisk(Traced):
    """Each sync takes a while longer."""

    lasts_s = (0.5, 1.5)

    def __init__(self, ms: int) -> None:
        super().__init__(
            f"ledger fsync {ms} ms slower", "-e", "trace=fdatasync", "-e", f"inject=fdatasync:delay_enter={ms}000"
        )


class FailingSync(Traced):
    """A sync fails: the server must not answer, and ends; it is started again."""

    def __init__(self) -> None:
        super().__init__("ledger fsync error", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=3+")

    async def heal(self, stack: Stack) -> None:
        await super().heal(stack)
        await stack.up("valkey")


class DiskFull(Fault):
    """Not a byte is left on the ledger's disk: the server ends on the short write; there is room when it comes back."""

    disk_mb = 64

    def __init__(self) -> None:
        super().__init__("ledger disk full")

    def missing(self) -> str:
        return "" if os.geteuid() == 0 else "only root may mount a small disk"

    async def inject(self, stack: Stack, rng: Random) -> None:
        with suppress(OSError), (stack.servers["valkey"].directory / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4_096))

    async def heal(self, stack: Stack) -> None:
        (stack.servers["valkey"].directory / "filler").unlink(missing_ok=True)
        await stack.up("valkey")


class TornTail(Fault):
    """A crash tears the last batch, of which nobody was told; after more was acknowledged there is a second crash."""

    lasts_s = (0.0, 0.1)

    def __init__(self) -> None:
        super().__init__("torn AOF tail, then a second crash")

    async def inject(self, stack: Stack, rng: Random) -> None:
        await stack.down("valkey")
        path = log_of(stack.servers["valkey"])
        written = path.read_bytes()
        block = written[written.rfind(_BLOCK) :]
        with path.open("ab") as log:  # a batch like the last one, cut anywhere
            log.write(block[: rng.randrange(1, len(block))])

    async def heal(self, stack: Stack) -> None:
        await stack.up("valkey")
        await asyncio.sleep(0.7)
        await stack.down("valkey")
        await stack.up("valkey")


class PowerLoss(Fault):
    """The power goes: what no finished sync covers is gone. No answer may have left before its sync (P2)."""

    lasts_s = (0.5, 1.5)

    def __init__(self) -> None:
        super().__init__("power loss")
        self._strace: Strace | None = None

    def missing(self) -> str:
        return strace.missing()

    async def inject(self, stack: Stack, rng: Random) -> None:
        self._log = stack.servers["valkey"].log.with_suffix(".trace")
        self._log.unlink(missing_ok=True)
        self._strace = Strace(stack.pid("valkey"), *strace.TRACED, log=self._log)
        self._strace.start()
        self._before = log_of(stack.servers["valkey"]).stat().st_size

    async def heal(self, stack: Stack) -> None:
        await stack.down("valkey")
        assert self._strace is not None
        self._strace.end()
        path = log_of(stack.servers["valkey"])
        taken = list(strace.steps(self._log.read_text().splitlines(), path.name))
        written, covered = strace.durable(taken)
        os.truncate(path, path.stat().st_size - (written - covered))
        if early := strace.early_answers(taken):
            self.found.append(Violation("P2", "wrong", f"{early} answers left before what they say was on disk"))
        if not any(step.what == "answer" for step in taken):
            self.found.append(Violation("P2", "wrong", "the trace saw no answer: it proves nothing"))
        await stack.up("valkey")
