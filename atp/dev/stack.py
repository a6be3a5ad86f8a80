"""The whole service on one machine: three servers and our own processes, started, watched and ended together."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from atp import config as settings
from atp.config import Config
from atp.dev import clients, files, leftovers, ports
from atp.dev.errors import ServerFailed
from atp.dev.nats import Nats
from atp.dev.own import Api, Own
from atp.dev.postgres import Postgres
from atp.dev.server import Server
from atp.dev.state import Endpoints, StateDir
from atp.dev.supervisor import Supervisor
from atp.dev.valkey import Valkey

_DATABASE = "atp"
_PORT_TRIES = 4
_API_STOP_S = 20.0  # what it already accepted is answered first

#: Nobody waits for what stands behind an answer: on one machine its bursts must not stand before the next answer. At
#: half load p99 of a reserve was 61 to 65 ms without and 15 to 23 with it; with 10 the outbox grows at full load.
BEHIND = {"drain": 5, "nats": 5, "postgres": 5}


class DevStack:
    """``async with DevStack(state_dir=…) as endpoints``: everything runs and answers inside, nothing runs after.

    A server whose URL ``config`` names is yours and is only used; the others are embedded. Without ``port`` the API
    has the port it had before, or 8000; with ``p0_port``, a process of its own answers P0 routes there. Needs the main
    thread. Raises DevError when something cannot start.
    """

    def __init__(
        self,
        state_dir: Path,
        port: int = 0,
        workers: int = 1,
        *,
        p0_port: int = 0,
        fresh: bool = False,
        config: Config | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._state = StateDir(state_dir)
        self._wanted_port = port
        self._workers = workers
        self._p0_port = p0_port
        self._fresh = fresh
        self._config = config or Config()
        self._say = say
        self._supervisor = Supervisor(self._state.run, say)
        self._claim: socket.socket | None = None
        self._watch: asyncio.Task[None] | None = None
        self._started: list[list[str]] = []  # in the order of starting; they end in the reverse order

    async def __aenter__(self) -> Endpoints:
        self._state.lock()
        try:
            return await self._start()
        except BaseException:
            await self._stop()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def kill(self) -> None:
        """End every process at once; for people who do not want to wait."""
        self._supervisor.kill()

    async def _start(self) -> Endpoints:
        self._say(f"Starting {', '.join((*self._embedded(), 'API, ingest and drain'))}.")
        self._state.withdraw()
        leftovers.end_all(self._state.run)
        if self._fresh:
            self._end_leftovers()
            self._state.empty()
        self._claim = self._claim_port()
        config = await self._servers()
        keys = self._state.client_keys()
        await self._supervisor.run_to_end(Own(self._state.path, "migrate", ["migrate"], _environment(config)))
        await clients.register(config, keys)
        await self._own_processes(config)
        endpoints = Endpoints(
            api=f"http://{ports.HOST}:{config.http_port}",
            nats=config.nats_url,
            redis=config.redis_url,
            postgres=config.database_url,
            api_key=keys.api_key,
            admin_key=keys.admin_key,
        )
        self._watch = asyncio.create_task(self._supervisor.run())
        self._state.publish(endpoints)
        return endpoints

    def _embedded(self) -> list[str]:
        yours = {
            "Valkey": self._config.redis_url,
            "NATS": self._config.nats_url,
            "PostgreSQL": self._config.database_url,
        }
        return [name for name, url in yours.items() if not url]

    async def _servers(self) -> Config:
        """Start what is not yours, and give the configuration of the whole."""
        config, path = self._config, self._state.path
        self._started.append(["valkey", "nats", "postgres"])
        redis_url = config.redis_url or (await self._server(Valkey(path, self._port_of("valkey")))).url
        nats_url = config.nats_url or (await self._server(Nats(path, self._port_of("nats")))).url
        database_url = config.database_url
        if not database_url:
            server = Postgres(path, self._port_of("postgres"))
            await self._server(server)
            database_url = await server.create_database(_DATABASE)
        return msgspec.structs.replace(
            config,
            redis_url=redis_url,
            nats_url=nats_url,
            database_url=database_url,
            http_host=ports.HOST,
            http_port=self._api_port,
            ticket_secrets=config.ticket_secrets or files.secret(path, "tickets"),
        )

    async def _server(self, server: Server) -> Server:
        wanted = server.port
        for last in (False,) * (_PORT_TRIES - 1) + (True,):
            server.port = ports.near(wanted)
            try:
                self._supervisor.spawn(server, BEHIND.get(server.name, 0))
                await self._supervisor.wait_ready(server)
                break
            except ServerFailed:
                await self._supervisor.stop([server.name])
                if last or ports.is_free(server.port):  # then it was not the port, lost between looking and listening
                    raise
        self._remember(server.name, wanted, server.port)
        return server

    async def _own_processes(self, config: Config) -> None:
        environment = _environment(config)
        path = self._state.path
        apis = [Api(path, str(number + 1), config.http_port, environment) for number in range(self._workers)]
        if self._p0_port:
            apis.append(Api(path, "p0", self._p0_port, environment, "--only-p0"))
        loops = [Own(path, name, [name], environment) for name in ("drain", "ingest")]
        self._started += [["drain"], ["ingest"], [api.name for api in apis]]
        for program in (*loops, *apis):
            self._supervisor.spawn(program, BEHIND.get(program.name, 0))
        for program in (*apis, *loops):
            await self._supervisor.wait_ready(program)

    def _claim_port(self) -> socket.socket:
        wanted = self._wanted_port or self._state.remembered_port("api")
        claimed = ports.claim(wanted)
        self._remember("api", wanted, claimed.getsockname()[1])
        return claimed

    @property
    def _api_port(self) -> int:
        if self._claim is None:
            raise RuntimeError("the stack is not started")
        return self._claim.getsockname()[1]

    def _port_of(self, name: str) -> int:
        return self._state.remembered_port(name)

    def _remember(self, name: str, wanted: int, port: int) -> None:
        if port != wanted:
            self._say(f"Port {wanted} is taken, so {name} has port {port}.")
        self._state.remember_port(name, port)

    def _end_leftovers(self) -> None:
        """Before their files are removed: servers whose supervisor was killed this very moment."""
        for directory in ("valkey", "nats", "postgres/data"):
            leftovers.end_all(self._state.path / directory)

    async def _stop(self) -> None:
        self._state.withdraw()
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        while self._started:
            await self._supervisor.stop(self._started.pop(), _API_STOP_S)
        self._supervisor.kill()  # a migration that a cancelled start left
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        self._state.unlock()


def _environment(config: Config) -> dict[str, str]:
    """Settings of our processes: all from ``config``, so that nothing around us changes them; logs for machines.

    No port for metrics, as two of them could not share it.
    """
    return settings.as_environment(msgspec.structs.replace(config, log_format="json", metrics_port=0, docs="on"))
