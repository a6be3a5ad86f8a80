"""Keeps programs running: starts them, starts them again when they end, and ends them in order.

Plain ``subprocess`` and polling, no event-loop child watcher: uvloop refuses the options we need, and a child must be
started from the main thread (research/spikes.md §2).
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from msgspec import structs

from atp.dev import files, process
from atp.dev.errors import ServerFailed
from atp.dev.server import START_S, STOP_S

_LOOK_S = 0.05
_BACKOFF_S = 0.2  # before the first start again; doubles with each failure in a row
_BACKOFF_MAX_S = 5.0
_STEADY_S = 10.0  # a program that ran so long has not failed in a row


class Program(Protocol):
    """Something to run: an embedded server, or one of the service's own processes."""

    @property
    def name(self) -> str: ...

    @property
    def stop_signal(self) -> signal.Signals: ...

    @property
    def log(self) -> Path | None:
        """Where its output goes; None for our own stderr."""
        ...

    def launch(self) -> process.Launch: ...

    def answers(self, pid: int) -> bool: ...


class _Child:
    """A program and its current process."""

    def __init__(self, program: Program, nice: int) -> None:
        self.program, self.nice = program, nice
        self.popen: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.log_start = 0  # size of its log when it was started
        self.failures = 0
        self.next_start: float | None = None

    @property
    def alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        if self.popen is not None and self.alive:
            self.popen.send_signal(number)

    def kill(self) -> None:
        if self.popen is not None and self.alive:
            self.popen.kill()
            self.popen.wait()


class Supervisor:
    """Runs programs and writes ``<run_dir>/<name>.pid``. ``say`` gets one line for people when something happens."""

    def __init__(self, run_dir: Path, say: Callable[[str], None]) -> None:
        self._run_dir = run_dir
        self._say = say
        self._children: dict[str, _Child] = {}

    def spawn(self, program: Program, nice: int = 0) -> None:
        """Start a program and keep it running from now on; ``wait_ready`` tells when it answers.

        With ``nice`` it stands back behind the others where they all want the machine.
        """
        child = self._children[program.name] = _Child(program, nice)
        self._spawn(child)

    async def wait_ready(self, program: Program, timeout_s: float = START_S) -> None:
        """Wait until it answers. Raises ServerFailed with the end of its log when it ends, or does not in time."""
        child = self._children[program.name]
        deadline = time.monotonic() + timeout_s
        while child.popen is not None and child.popen.poll() is None:
            if program.answers(child.popen.pid):
                return
            if time.monotonic() > deadline:
                raise _failure(child, f"did not answer within {timeout_s:.0f} s")
            await asyncio.sleep(_LOOK_S)
        code = child.popen.returncode if child.popen else None
        raise _failure(child, f"ended with code {code}")

    async def run_to_end(self, program: Program, timeout_s: float = START_S) -> None:
        """Run something that ends by itself, such as ``atp migrate``. Raises ServerFailed unless it ends with 0."""
        self.spawn(program)
        child = self._children[program.name]
        await _ended([child], timeout_s)
        code = child.popen.poll() if child.popen else None
        await self.stop([program.name], 0)
        if code != 0:
            raise _failure(child, "did not end" if code is None else f"ended with code {code}")

    async def run(self) -> None:
        """Watch for ever; cancel it before ``stop``."""
        while True:
            self.run_once()
            await asyncio.sleep(_LOOK_S)

    def run_once(self) -> int:
        """Notice who ended and start whose time has come; gives how many were started."""
        started = 0
        now = time.monotonic()
        for child in self._children.values():
            if child.popen is not None and child.popen.poll() is not None:
                self._note_end(child, now)
            if child.next_start is not None and now >= child.next_start:
                started += self._start_again(child)
        return started

    async def stop(self, names: Iterable[str], timeout_s: float = STOP_S) -> None:
        """Ask these to end, all at once, and wait; who does not end in time is killed. They are not started again."""
        ending = [child for name in names if (child := self._children.pop(name, None))]
        for child in ending:
            child.signal(child.program.stop_signal)
        await _ended(ending, timeout_s)
        for child in ending:
            if child.alive:
                self._say(f"{child.program.name} did not end within {timeout_s:.0f} s and was killed")
                child.kill()
            self._pid_file(child).unlink(missing_ok=True)

    def kill(self) -> None:
        """End everything at once, without order."""
        for child in self._children.values():
            child.kill()
            self._pid_file(child).unlink(missing_ok=True)
        self._children.clear()

    def _spawn(self, child: _Child) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children end with the thread that starts them: start them from the main thread")
        program = child.program
        launch = structs.replace(program.launch(), nice=child.nice)
        log = process.open_log(program.log) if program.log else os.dup(sys.stderr.fileno())
        child.log_start = os.fstat(log).st_size
        try:
            child.popen = process.spawn(launch, log)
        finally:
            os.close(log)
        child.started, child.next_start = time.monotonic(), None
        files.write_private(self._pid_file(child), f"{child.popen.pid}\n")

    def _note_end(self, child: _Child, now: float) -> None:
        code = child.popen.returncode if child.popen else None
        child.popen = None
        if now - child.started > _STEADY_S:
            child.failures = 0
        pause = min(_BACKOFF_S * 2**child.failures, _BACKOFF_MAX_S)
        child.failures += 1
        child.next_start = now + pause
        log = f", log: {child.program.log}" if child.program.log else ""
        self._say(f"{child.program.name} ended ({_reason(code)}); starting it again{log}")

    def _start_again(self, child: _Child) -> bool:
        try:
            self._spawn(child)
        except Exception as error:  # noqa: BLE001, RUF100 (whatever it is, the others go on and this one is tried again)
            self._say(f"{child.program.name} cannot be started: {error}")
            child.failures += 1
            child.next_start = time.monotonic() + _BACKOFF_MAX_S
            return False
        return True

    def _pid_file(self, child: _Child) -> Path:
        return self._run_dir / f"{child.program.name}.pid"


async def _ended(children: list[_Child], timeout_s: float) -> bool:
    """Wait until none is alive; False when ``timeout_s`` passed first."""
    deadline = time.monotonic() + timeout_s
    while any(child.alive for child in children):
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_LOOK_S)
    return True


def _failure(child: _Child, what: str) -> ServerFailed:
    log = child.program.log
    if log is None:
        return ServerFailed(f"{child.program.name} {what}")
    return ServerFailed(f"{child.program.name} {what}; the end of {log}:\n{process.log_tail(log, child.log_start)}")


def _reason(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"code {code}"
