"""Positions with an event in the dead letters: what is answered of them may be wrong until somebody looked (R14).

Read from the letters' headers alone and kept in memory, so that asking costs a look-up; seconds old at most, also for
what other processes replayed or threw away.
"""

import asyncio
from contextlib import aclosing

import structlog
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from atp.deadletters.letters import Letter
from atp.deadletters.settings import LetterSettings
from atp.deadletters.store import LettersUnavailable, Store, reaching_nats
from atp.waiting import stopped_within

#: Between two looks, s.
_EVERY_S = 2.0

#: Positions kept at most; whoever has more has another problem, and the count of dead letters tells it.
_POSITIONS_MAX = 100_000

log = structlog.get_logger("atp.deadletters")


class Suspects:
    """The process's view of suspect positions; while NATS is away it stays as it was."""

    def __init__(self, nc: Client, settings: LetterSettings | None = None) -> None:
        self._settings = settings or LetterSettings()
        self._store = Store(nc, self._settings)
        self._locations: dict[str, set[str]] = {}  # by sku
        self._count = 0
        self._through = 0
        self.changes = 0  # grows whenever answers may be others
        self._shape = (0, 0)  # first letter's id and how many were removed: whether there is only more than before

    def has(self, sku: str, location: str) -> bool:
        """Whether an event of this position is in the dead letters."""
        return location in self._locations.get(sku, ())

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again until ``stop`` is set."""
        while not stop.is_set():
            try:
                await self.run_once()
            except LettersUnavailable as error:
                log.debug("dead letters could not be looked at", error=str(error))
            await stopped_within(stop, _EVERY_S)

    async def run_once(self) -> None:
        """Take in what changed. Raises LettersUnavailable."""
        shape, last = await self._state()
        if shape != self._shape or last < self._through:
            found = Suspects(self._store.nc, self._settings)
            await found._read(0, last)
            self._locations, self._count = found._locations, found._count
            self.changes += 1
        elif last > self._through:
            await self._read(self._through, last)
            self.changes += 1
        self._shape, self._through = shape, last

    async def _state(self) -> tuple[tuple[int, int], int]:
        async with reaching_nats():
            if not self._store.nc.is_connected:
                raise LettersUnavailable("NATS is not connected")
            try:
                state = (await self._store.js.stream_info(self._settings.stream)).state
            except NotFoundError:
                return (0, 0), 0
        # An empty stream's first is behind its last; so is that of the letters that follow, and nothing is missed.
        return (state.first_seq if state.messages else 0, state.num_deleted or 0), state.last_seq

    async def _read(self, after: int, through: int) -> None:
        async with aclosing(self._store.scan("", after, through, whole=False)) as parts:
            async for letters, _ in parts:
                for letter in letters:
                    self._add(letter)

    def _add(self, letter: Letter) -> None:
        for sku, location in letter.positions:
            locations = self._locations.setdefault(sku, set())
            if location not in locations and self._count < _POSITIONS_MAX:
                locations.add(location)
                self._count += 1
