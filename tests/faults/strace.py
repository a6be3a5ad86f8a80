"""strace on a server: faults of its system calls, and the order in which it writes, syncs and answers."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

_ATTACH_S = 5.0


def missing() -> str:
    """Why strace cannot be used here, or ""."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    return "" if os.geteuid() == 0 else "only root may attach to the servers"


class Strace:
    """Attached from ``start`` to ``end``, or until the server is gone."""

    def __init__(self, pid: int, *arguments: str, log: Path | None = None) -> None:
        self._pid = pid
        self._command = ["strace", "-f", "-qq", "-o", str(log or os.devnull), *arguments, "-p", str(pid)]
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Attach, and wait until it is."""
        self._child = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up = time.monotonic() + _ATTACH_S
        while not self._attached():
            if self._child.poll() is not None or time.monotonic() > give_up:
                raise OSError(f"strace could not attach to {self._pid}")
            time.sleep(0.005)

    def end(self) -> None:
        """Let go."""
        if self._child is not None:
            if self._child.poll() is None:
                self._child.send_signal(signal.SIGINT)
            self._child.wait(_ATTACH_S)
            self._child = None

    def _attached(self) -> bool:
        for status in Path(f"/proc/{self._pid}/task").glob("*/status"):
            if "TracerPid:\t0\n" in status.read_text():
                return False
        return True


class Step(Struct, frozen=True):
    """One thing the server did: it wrote so many bytes to its file, began or ended a sync of it, or answered."""

    what: Literal["write", "sync begins", "sync ends", "answer"]
    bytes: int = 0


_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(\d+<([^>]*)>(.*?)(?:= (-?\d+).*)?$")
_RESUMED = re.compile(r"^(?:\d+ +)?<\.\.\. (\w+) resumed>.*= (-?\d+)")
_SYNCS = ("fdatasync", "fsync")
TRACED = ("-y", "-s", "0", "-e", "trace=write,writev,fdatasync,fsync,sendto")


def steps(lines: Iterable[str], file: str) -> Iterator[Step]:
    """What a log of ``-y`` says of the file whose name ends with ``file``, and of sockets."""
    for line in lines:
        if resumed := _RESUMED.match(line):
            if resumed[1] in _SYNCS and resumed[2] == "0":
                yield Step("sync ends")
            continue
        call = _CALL.match(line)
        if call is None:
            continue
        name, target, _, result = call.groups()
        if name in _SYNCS and target.endswith(file):
            yield Step("sync begins")
            if result == "0":
                yield Step("sync ends")
        elif target.endswith(file) and result is not None and int(result) > 0:
            yield Step("write", int(result))
        elif target.startswith(("socket:", "TCP:")):
            yield Step("answer")


def durable(taken: Iterable[Step]) -> tuple[int, int]:
    """(bytes written, of those how many a finished sync covers)."""
    written = covered = begun = 0
    for step in taken:
        if step.what == "write":
            written += step.bytes
        elif step.what == "sync begins":
            begun = written
        elif step.what == "sync ends":
            covered = begun
    return written, covered


def early_answers(taken: Iterable[Step]) -> int:
    """Answers that left while bytes written before them were not on disk (F3's fsync order)."""
    written = covered = begun = early = 0
    for step in taken:
        match step.what:
            case "write":
                written += step.bytes
            case "sync begins":
                begun = written
            case "sync ends":
                covered = begun
            case "answer":
                early += written > covered
    return early
