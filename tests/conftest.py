"""Real servers for the tests: one of each per pytest worker, with state and ports of its own, gone at the end.

Tests share a server and keep apart by ``namespace`` (Valkey keys, NATS subjects) and ``database``. A test that kills
or stops a server starts its own from ``atp.dev``: ``with Valkey(tmp_path) as server: ...``.
Async tests are marked ``@pytest.mark.anyio`` and run under uvloop, as the service does.
"""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import structlog

from atp.dev.nats import Nats
from atp.dev.postgres import Postgres
from atp.dev.valkey import Valkey
from atp.journal import migrate

#: Structlog's own choice draws each frame's variables, for seconds; here most tracebacks are expected ones.
_PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _PLAIN])


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """A command that runs in a test sets up its process's logs, on a stream that is closed when the test is over."""
    root = logging.getLogger()
    before, level, structured = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.configure(**structured)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop of async tests."""
    return "asyncio", {"use_uvloop": True}


#: Where a file system in memory is, on many machines: there an fsync costs nothing, and shared servers are not killed.
MEMORY = Path("/dev/shm")
MEMORY_MIN_BYTES = 4 * 2**30


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """State of this worker's servers; removed at the end, since three runs of it would fill a small disk."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_MIN_BYTES
    place = MEMORY if roomy else None
    with tempfile.TemporaryDirectory(prefix="atp-tests-", dir=place, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def valkey(servers_dir: Path) -> Iterator[str]:
    """URL of a Valkey with the ledger's settings."""
    with Valkey(servers_dir) as server:
        yield server.url


@pytest.fixture(scope="session")
def nats(servers_dir: Path) -> Iterator[str]:
    """URL of a NATS server with JetStream; streams are shared, so name them after ``namespace``."""
    with Nats(servers_dir) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_server(servers_dir: Path) -> Iterator[Postgres]:
    """The PostgreSQL server of this worker."""
    with Postgres(servers_dir) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(postgres_server: Postgres) -> str:
    """URL of a PostgreSQL server whose user may create databases."""
    return postgres_server.url


@pytest.fixture
def namespace() -> str:
    """A namespace nobody else has."""
    return f"t{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def with_schema(postgres_server: Postgres) -> str:
    """Name of a database with this release's schema, to be copied: ten times quicker than to migrate every one."""
    asyncio.run(migrate(asyncio.run(postgres_server.create_database("with_schema"))))
    return "with_schema"


@pytest.fixture
def migrated(postgres_server: Postgres, with_schema: str, namespace: str) -> Iterator[str]:
    """URL of a database with this release's schema, of this test's own."""
    yield asyncio.run(postgres_server.create_database(namespace, with_schema))
    asyncio.run(postgres_server.drop_database(namespace))


@pytest.fixture
def database(postgres_server: Postgres, namespace: str) -> Iterator[str]:
    """URL of an empty database of this test's own."""
    yield asyncio.run(postgres_server.create_database(namespace))
    asyncio.run(postgres_server.drop_database(namespace))
