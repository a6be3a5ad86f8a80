"""What an earlier run left: processes that still use a directory, and memory that it held.

When a supervisor is killed, its lock is free a moment before its children are dead, and PostgreSQL's backends outlive
their postmaster until they notice. Two servers on one directory would ruin it, so whoever is left is ended first. Each
server's working directory is the directory it uses, and that is how they are found (research/spikes.md §2).
"""

import ctypes
import os
import signal
from pathlib import Path

from atp.dev import process
from atp.dev.errors import StillUsed

_GONE_S = 60.0  # a killed backend that holds much memory takes a while to go

_SEGMENTS = Path("/proc/sysvipc/shm")
_IPC_RMID = 0


def can_tell() -> bool:
    """Whether this system shows where processes work."""
    return Path("/proc/self/cwd").exists()


def end_all(directory: Path, named: int | None = None, program: str = "") -> None:
    """Kill every process that works in ``directory`` and wait until all are gone. Raises StillUsed.

    ``named`` is a process its own lock file names: it counts when we may not see where it works (a container's root
    may not look at other users' processes) and it runs ``program``.
    """
    if not can_tell():
        return
    for pid in _users(directory, named, program):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if not process.poll_until(lambda: not _users(directory, named, program), _GONE_S):
        raise StillUsed(f"processes {_users(directory, named, program)} still use {directory} and cannot be ended")


def free_memory(data: Path) -> None:
    """Give back the segment by which a killed PostgreSQL marks ``data`` as its own, before that is removed.

    The next start there would, but there will be none, and a system has room for a few thousand of them. Line 7 of the
    lock file has its key and its number; one that is somebody else's by now stays.
    """
    try:
        marked = (data / "postmaster.pid").read_text().splitlines()[6].split()
        known = [line.split() for line in _SEGMENTS.read_text().splitlines()[1:]]
    except (OSError, IndexError):
        return
    if any(columns[:2] == marked for columns in known):
        ctypes.CDLL(None).shmctl(int(marked[1]), _IPC_RMID, None)


def _users(directory: Path, named: int | None, program: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        try:
            if os.readlink(entry / "cwd") == str(directory):
                found.append(pid)
        except PermissionError:
            if pid == named and _name(entry) == program:
                found.append(pid)
        except OSError:  # gone meanwhile, or a zombie: neither uses anything
            continue
    return found


def _name(entry: Path) -> str:
    try:
        return (entry / "comm").read_text().strip()
    except OSError:
        return ""
