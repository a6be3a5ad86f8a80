"""A whole service of a test's own: real servers and processes, wires between them, and a hand on each."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import asyncpg
import msgspec

from atp import config as settings
from atp.config import Config
from atp.demo.http import Client, NoAnswer
from atp.dev import clients, files, ports
from atp.dev.nats import Nats
from atp.dev.own import Api, Own
from atp.dev.postgres import Postgres
from atp.dev.process import Launch
from atp.dev.server import START_S, Server
from atp.dev.stack import BEHIND
from atp.dev.state import ClientKeys, StateDir
from atp.dev.supervisor import Program, Supervisor
from atp.dev.valkey import Valkey
from atp.ledger.connection import Connection, connect
from tests.support import wait_until_async

from .wire import Wire

Name = Literal["valkey", "nats", "postgres", "api", "ingest", "drain"]
SERVERS: tuple[Name, ...] = ("valkey", "nats", "postgres")
OWN: tuple[Name, ...] = ("api", "ingest", "drain")
ASK_S = 5.0  # for a connection of the harness itself, on a machine that has other work
PLANTS = Path(__file__).parent / "plants"


class Planted:
    """An own process that loads faults before the service: ``plants/sitecustomize.py`` reads their names."""

    def __init__(self, program: Own, plants: str) -> None:
        self._program, self._plants = program, plants
        self.name, self.stop_signal, self.log = program.name, program.stop_signal, program.log

    def launch(self) -> Launch:
        launch = self._program.launch()
        path = os.pathsep.join([str(PLANTS), launch.env["PYTHONPATH"]])
        environment = {**launch.env, "PYTHONPATH": path, "FAULTS_PLANTS": self._plants}
        return msgspec.structs.replace(launch, env=environment)

    def answers(self, pid: int) -> bool:
        return self._program.answers(pid)


class Stack:
    """``async with Stack(folder) as stack``: everything answers inside, nothing runs after.

    ``plants`` are faults of the own processes by name (``plants``). A process that ends by itself is started again by
    the supervisor, as in production; one that a test has taken ``down`` stays down until it is brought ``up``.
    ``disk_mb`` gives the ledger a disk of its own, that small.
    """

    def __init__(
        self,
        folder: Path,
        plants: Mapping[str, str] | None = None,
        extra: Sequence[str] = (),
        disk_mb: int = 0,
        config: Config | None = None,
        ledger: type[Valkey] = Valkey,
    ) -> None:
        self._state = StateDir(folder)
        self.path = self._state.path
        self._disk_mb = disk_mb
        self._plants = dict(plants or {})
        self._ledger = ledger
        self._extra = extra  # second processes: "drain-2"
        self.said: list[str] = []
        self._supervisor = Supervisor(self._state.run, self.said.append)
        self._watch: asyncio.Task[None] | None = None
        self.servers: dict[str, Server] = {}
        self.wires: dict[str, Wire] = {}
        self._programs: dict[str, Program] = {}
        self.config = config or Config()
        self.keys: ClientKeys
        self.api_url = ""

    # -- a hand on each process ------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        """Process id of what runs under this name now."""
        return int((self._state.run / f"{name}.pid").read_text())

    def pids(self, name: str) -> list[int]:
        """The same and its children: PostgreSQL works in many processes."""
        first = self.pid(name)
        children: list[int] = []
        for task in Path(f"/proc/{first}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children += [int(pid) for pid in task.read_text().split()]
        return [first, *children]

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to all of it; who is gone already does not mind."""
        for pid in self.pids(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def down(self, name: str) -> None:
        """kill -9, and it stays dead."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(self.pid(name), signal.SIGKILL)
        await self._supervisor.stop([name])

    async def up(self, name: str, plants: str | None = None) -> None:
        """Start it again, without waiting until it answers; ``plants`` replace those it had."""
        await self.down(name)
        program = self._programs[name]
        if plants is not None and isinstance(program, Planted):
            program._plants = plants  # noqa: SLF001, RUF100
        self._spawn(program)

    async def answering(self, name: str) -> None:
        """Wait until a server answers. Raises NeverCame."""
        server = self.servers[name]
        await wait_until_async(lambda: server.answers(self.pid(name)), START_S, f"{name} answers")

    async def serving(self) -> None:
        """Wait until the API answers; asked without standing in the way of the wires. Raises TimeoutError."""
        client = Client(self.api_url, self.keys.api_key)
        async with asyncio.timeout(START_S):
            while True:
                with contextlib.suppress(NoAnswer):
                    if (await client.ask("GET", "/health/ready", timeout_s=2)).status == 200:
                        break
                await asyncio.sleep(0.05)
        client.close()

    async def ask_ledger(self, *words: bytes | str | int):
        """One command to the ledger's server, past every wire."""
        connection: Connection = await connect(self.servers["valkey"].url, ASK_S)  # type: ignore[attr-defined]
        try:
            return await connection.ask(*words)
        finally:
            await connection.end()

    async def ask_journal(self, query: str) -> list[asyncpg.Record]:
        """One query to the journal's database, past every wire."""
        connection = await asyncpg.connect(self.config.database_url, timeout=2, command_timeout=30)
        try:
            return await connection.fetch(query)
        finally:
            connection.terminate()

    # -- the whole -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> "Stack":
        self._state.lock()
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _start(self) -> None:
        path = self._state.path
        if self._disk_mb:
            _mount(files.private_dir(path / "valkey"), self._disk_mb)
        await self._start_servers()
        postgres = self.servers["postgres"]
        assert isinstance(postgres, Postgres)
        database_url = await postgres.create_database("atp")
        urls = {"valkey": self.servers["valkey"].url, "nats": self.servers["nats"].url, "postgres": database_url}
        self.config = msgspec.structs.replace(
            self.config,
            redis_url=urls["valkey"],
            nats_url=urls["nats"],
            database_url=urls["postgres"],
            http_host=ports.HOST,
            http_port=ports.free_port(),
            log_format="json",
        )
        self.api_url = f"http://{ports.HOST}:{self.config.http_port}"
        self.keys = self._state.client_keys()
        migrate = Own(path, "migrate", ["migrate"], settings.as_environment(self.config))
        await self._supervisor.run_to_end(migrate)
        await clients.register(self.config, self.keys)
        for name, url in urls.items():
            wire = self.wires[name] = Wire(self.servers[name].port)
            await wire.start()
            urls[name] = url.replace(f":{self.servers[name].port}", f":{wire.port}")
        wired = msgspec.structs.replace(
            self.config, redis_url=urls["valkey"], nats_url=urls["nats"], database_url=urls["postgres"]
        )
        await self._own_processes(wired)
        self._watch = asyncio.create_task(self._supervisor.run())

    async def _start_servers(self) -> None:
        for server in (self._ledger(self.path), Nats(self.path), Postgres(self.path)):
            self.servers[server.name] = server
            await self.start_server(server)

    async def start_server(self, server: Server) -> None:
        """Begin to run a server, and wait until it answers."""
        self._programs[server.name] = server
        self._spawn(server)
        await self._supervisor.wait_ready(server)

    async def _own_processes(self, config: Config) -> None:
        path, environment = self._state.path, settings.as_environment(config)
        api = Api(path, "1", config.http_port, environment)
        api.name = "api"
        own = [api, *(Own(path, name, [name.partition("-")[0]], environment) for name in (*OWN[1:], *self._extra))]
        for program in own:
            planted = Planted(program, self._plants.get(program.name.partition("-")[0], ""))
            self._programs[program.name] = planted
            self._spawn(planted)
        await self.serving()

    def _spawn(self, program: Program) -> None:
        """Start it, standing back as it does under ``atp dev``."""
        self._supervisor.spawn(program, BEHIND.get(program.name.partition("-")[0], 0))

    async def _stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        for name in self._programs:
            with contextlib.suppress(FileNotFoundError):
                self.signal(name, signal.SIGCONT)
        self._supervisor.kill()
        for wire in self.wires.values():
            await wire.stop()
        if self._disk_mb:
            _unmount(self._state.path / "valkey")
        StateDir(self._state.path).empty()  # PostgreSQL's files may have had to live elsewhere
        self._state.unlock()


def _mount(folder: Path, size_mb: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)], check=True)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=False, stderr=subprocess.DEVNULL)
