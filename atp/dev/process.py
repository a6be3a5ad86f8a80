"""Child processes that cannot outlive us.

``PR_SET_PDEATHSIG`` is set in the child after its user is changed (a change of user clears it) and fires when the
*thread* that forked ends, so children are started from the main thread only (research/spikes.md §2).
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_ON_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None, use_errno=True) if _ON_LINUX else None

#: A log that is longer when its program starts becomes ``<name>.log.1``.
_LOG_BYTES_MAX = 32 * 1024 * 1024

#: Exit codes of a child that ended before its program ran.
NO_NAMESPACE = 71
ORPHANED = 72


class Launch(Struct, frozen=True):
    """How to start one child."""

    argv: list[str]
    env: dict[str, str]
    cwd: str = "/"
    owner: pwd.struct_passwd | None = None  # run as this user (only root may ask)
    inner: pwd.struct_passwd | None = None  # stay root outside, be this user inside a user namespace
    nice: int = 0  # how far it stands back where the machine is full


def spawn(launch: Launch, log: int, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a child that dies with us; ``log`` takes its output.

    It gets its own process group, so Ctrl-C in the terminal reaches only us and the order of stopping is ours.
    """
    with warnings.catch_warnings():
        # The child only makes system calls between fork and exec, so other threads of ours cannot block it.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        owner = launch.owner
        return subprocess.Popen(
            launch.argv,
            env=launch.env,
            cwd=launch.cwd,
            stdin=stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            preexec_fn=_child_setup(os.getpid(), launch),
        )


def _child_setup(parent: int, launch: Launch) -> Callable[[], None]:
    """What the child does last before its program: CPython calls it after the user is changed."""

    def setup() -> None:
        os.nice(launch.nice)
        if _LIBC is None:
            return
        if launch.inner is not None:
            if _LIBC.unshare(_CLONE_NEWUSER):
                os._exit(NO_NAMESPACE)
            _map_identity(launch.inner)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # we died in between: the signal would never come
            os._exit(ORPHANED)

    return setup


def _map_identity(inner: pwd.struct_passwd) -> None:
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inner.pw_uid} 0 1"),
        ("gid_map", f"{inner.pw_gid} 0 1"),
    ):
        with open(f"/proc/self/{name}", "w") as handle:
            handle.write(text)


def namespaces_work(inner: pwd.struct_passwd) -> bool:
    """Whether this machine lets root make a user namespace (containers often forbid it)."""
    if not _ON_LINUX:
        return False
    try:
        probe = spawn(Launch(["/bin/true"], {}, inner=inner), subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return False
    return probe.wait() == 0


def open_log(path: Path) -> int:
    """A descriptor that appends to the log at ``path``, readable only by its owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_BYTES_MAX:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def log_tail(path: Path, since: int = 0, lines: int = 12) -> str:
    """The last lines of a log from byte ``since`` on, for an error message."""
    if not path.exists():
        return ""
    with path.open("rb") as handle:
        handle.seek(max(since, path.stat().st_size - 8192))
        return "\n".join(handle.read().decode(errors="replace").splitlines()[-lines:])


def end(child: subprocess.Popen[bytes], with_signal: signal.Signals, timeout_s: float) -> bool:
    """Ask a child to end and wait; kill it when it does not. True if it ended by itself."""
    if child.poll() is None:
        child.send_signal(with_signal)
    try:
        child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return False
    return True


def poll_until(done: Callable[[], bool], timeout_s: float, every_s: float = 0.01) -> bool:
    """Wait for a condition by asking; False when ``timeout_s`` passed first."""
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
