"""Peers: other ways to reserve a unit, measured in the same rounds. One file each in ``loadtests/peers``.

A file of that folder whose name does not begin with ``_`` is a peer. It has

- ``NAME``: how tables call it;
- ``start(stack)``: an async context manager that gives a ``Peer``, or raises ``Skipped`` with the reason.

A peer answers ``POST /v1/reservations`` with the same body as the service (201, or 409 when nothing is free), keeps a
record of each reservation, and is durable: what it acknowledged is on disk (``stack`` starts servers so). It does the
least that is right: no authentication, no idempotency, one location.
"""

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType

from msgspec import Struct

from atp.bench.hosting import python, serving
from atp.dev.postgres import Postgres
from atp.dev.valkey import Valkey

#: Of a checkout; an installed package has none.
FOLDER = Path(__file__).parents[2] / "loadtests" / "peers"


class Skipped(Exception):
    """This machine cannot run the peer; the text says what is missing."""


class Unknown(Exception):
    """No peer has this name."""


class Stored(Struct):
    """What a peer says after a run."""

    free: int
    reservations: int


class Peer(ABC):
    """A peer that serves."""

    def __init__(self, url: str, pids: dict[str, int]) -> None:
        self.url = url
        self.pids = pids  # of the processes that do its work, by name

    @abstractmethod
    async def seed(self, sku: str, units: int) -> None:
        """Make a sku with as many free units and no reservation."""

    @abstractmethod
    async def stored(self, sku: str) -> Stored:
        """How many units are free, and how many reservations of one unit are kept."""


class Stack:
    """Servers for peers, apart from the service's, with the same settings; each starts when it is first asked for."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self.folder, self._exits = folder, exits
        self._valkey: Valkey | None = None
        self._postgres: Postgres | None = None

    @property
    def valkey(self) -> Valkey:
        """appendfsync always."""
        if self._valkey is None:
            self._valkey = self._exits.enter_context(Valkey(self.folder))
        return self._valkey

    @property
    def postgres(self) -> Postgres:
        """fsync and synchronous_commit on."""
        if self._postgres is None:
            self._postgres = self._exits.enter_context(Postgres(self.folder))
        return self._postgres

    @asynccontextmanager
    async def program(self, file: str, *arguments: str) -> AsyncIterator[tuple[str, int]]:
        """URL and pid of a peer's own file, run as a program with these arguments and a port."""
        with serving(python(file, *arguments), self.folder / "log", Path(file).stem) as found:
            yield found


def names(folder: Path) -> list[str]:
    """Of all peers that there are."""
    return sorted(path.stem for path in folder.glob("*.py") if not path.name.startswith("_"))


def chosen(folder: Path, wanted: str) -> list[str]:
    """``all``, ``none``, or names with commas between them. Raises Unknown."""
    known = names(folder)
    if wanted in ("all", "none"):
        return known if wanted == "all" else []
    asked = [name.strip() for name in wanted.split(",") if name.strip()]
    if unknown := sorted(set(asked) - set(known)):
        raise Unknown(f"no peer is called {', '.join(unknown)}; there is {', '.join(known) or 'none'} in {folder}")
    return asked


@asynccontextmanager
async def started(
    folder: Path, wanted: list[str], servers: Path
) -> AsyncIterator[tuple[dict[str, Peer], dict[str, str]]]:
    """The peers by their titles, and why others do not run."""
    running: dict[str, Peer] = {}
    skipped: dict[str, str] = {}
    with ExitStack() as exits, _importable(folder):
        stack = Stack(servers, exits)
        async with AsyncExitStack() as programs:
            for name in wanted:
                module = _load(folder / f"{name}.py")
                try:
                    running[module.NAME] = await programs.enter_async_context(module.start(stack))
                except Skipped as reason:
                    skipped[module.NAME] = str(reason)
            yield running, skipped


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"atp_peer_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _importable(folder: Path) -> ExitStack:
    """Peers may share modules whose names begin with ``_``: as when one of them is run as a program."""
    exits = ExitStack()
    sys.path.insert(0, str(folder))
    exits.callback(sys.path.remove, str(folder))
    return exits
