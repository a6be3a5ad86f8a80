"""What a state directory remembers, and who may use it."""

import fcntl
import os
import shutil
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from atp.dev import files, identity, leftovers
from atp.dev.errors import StateDirTaken, StateDirUnfit
from atp.domain import keys, times

#: What people see when nothing is remembered: below the range from which systems lend ports, so they stay ours.
DEFAULT_PORTS = {"api": 8000, "nats": 14222, "postgres": 15432, "valkey": 16379}


class Endpoints(Struct, frozen=True):
    """Where everything is: the contract's ``endpoints.json``."""

    api: str
    nats: str
    redis: str
    postgres: str
    api_key: str  # all scopes but admin
    admin_key: str  # all scopes


class ClientKeys(Struct, frozen=True):
    """The two keys of a state directory, kept so that a restart asks nobody to change theirs."""

    api_key: str
    admin_key: str
    created_at: str


class StateDir:
    """One state directory, used by one supervisor at a time. Raises StateDirUnfit."""

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise StateDirUnfit(f"{path} cannot be a state directory: {problem.strerror}") from None
        self.path = path.resolve()
        self.run = self.path / "run"
        self._lock: int | None = None

    def lock(self) -> None:
        """Take it. Raises StateDirTaken, StateDirUnfit; the lock goes with the process, however that ends."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise StateDirUnfit(f"{self.path} cannot be written: {problem.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode().strip()
            os.close(descriptor)
            raise StateDirTaken(
                f"{self.path} is in use by process {holder or '(unknown)'}. "
                f"Stop that one first, or choose another --state-dir."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor
        files.private_dir(self.run)

    def unlock(self) -> None:
        """Let others use it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def empty(self) -> None:
        """Forget data, keys and secrets; only what we made ourselves is removed."""
        copy = identity.reachable_copy(self.path / "postgres")
        for place in (copy, self.path / "postgres"):
            leftovers.free_memory(place / "data")
        shutil.rmtree(copy, ignore_errors=True)
        for name in ("valkey", "nats", "postgres", "log"):
            if (self.path / name).exists():
                shutil.rmtree(self.path / name)
        for name in ("keys.json", "secrets.json"):
            (self.path / name).unlink(missing_ok=True)

    def remembered_port(self, name: str) -> int:
        """The port this state had last, else the default."""
        return int(files.read_map(self.path / "ports.json").get(name, DEFAULT_PORTS[name]))

    def remember_port(self, name: str, port: int) -> None:
        """Have the same port next time."""
        known = files.read_map(self.path / "ports.json")
        if known.get(name) != str(port):
            files.write_private(self.path / "ports.json", msgspec.json.encode({**known, name: str(port)}).decode())

    def client_keys(self) -> ClientKeys:
        """The keys, made at their first use."""
        path = self.path / "keys.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=ClientKeys)
        except FileNotFoundError:
            now = times.rfc3339(time.time_ns() // 1_000_000)
            made = ClientKeys(keys.new_key(now)[0], keys.new_key(now)[0], now)
            files.write_private(path, msgspec.json.encode(made).decode())
            return made
        except (OSError, msgspec.DecodeError) as problem:
            raise StateDirUnfit(f"{path} cannot be read ({problem}): remove it, or begin anew with --fresh") from None

    def publish(self, endpoints: Endpoints) -> None:
        """Write ``endpoints.json``: its presence means that everything answers."""
        files.write_private(self.path / "endpoints.json", msgspec.json.format(msgspec.json.encode(endpoints)).decode())

    def withdraw(self) -> None:
        """Remove ``endpoints.json``."""
        (self.path / "endpoints.json").unlink(missing_ok=True)
