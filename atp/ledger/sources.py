"""Sources as the whole ledger knows them: each partition hears of a source, a person restarts it everywhere, and after
the number that counts at a location changed, its positions are gone through.

Whoever works here may be killed at any line: what is to be gone through stands in the ledger until it was.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Sequence

from msgspec import structs

from atp.domain.commands import Command, Heartbeat, MoveAuthority, Recheck, RestartSource
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.state import Source
from atp.ledger import wire
from atp.ledger.batcher import Batcher
from atp.ledger.errors import LedgerError
from atp.ledger.reader import Reader
from atp.telemetry import SOURCE_AGE, SOURCE_LAG, series

#: How often one process tells the other partitions that a source lives.
SPREAD_S = 10.0

#: How often sources are shown and locations gone through, and how long one process keeps that to itself.
LOOK_S = 1.0
LEASE_MS = 10_000

#: Positions looked at by one command, and fields read at once to find them.
PAGE = 256
SCAN = 2_000

#: Sources of which one process keeps gauges, so that the number of series stays bounded.
GAUGES_MAX = 1_000


class Sources:
    """Beside the batchers of one ledger."""

    def __init__(self, batchers: Sequence[Batcher], readers: Sequence[Reader]) -> None:
        self._batchers = batchers
        self._readers = readers
        self._spread_at: dict[str, float] = {}
        self._name = secrets.token_hex(6)
        self._looked_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    def signs_of_life(self, commands: Sequence[Command]) -> list[Heartbeat]:
        """What all partitions should hear of these events' sources: a source is heard or silent as a whole (R12)."""
        if len(self._batchers) == 1:
            return []
        now, found = time.monotonic(), []
        # What has a stream is a source's word.
        for source in {getattr(command, "source", "") for command in commands if hasattr(command, "stream")}:
            if source and now - self._spread_at.get(source, -SPREAD_S) >= SPREAD_S:
                self._spread_at[source] = now
                found.append(Heartbeat(source, "", 0, "", beats=False))
        return found

    async def known(self, id: str) -> list[Source | None]:
        """What each partition knows of the source."""
        stored = [await r.command("HGET", r.key("source"), id) for r in self._readers]
        return [None if value is None else wire.decode_source(value) for value in stored]

    async def restart(self, command: RestartSource) -> Result:
        """Begin a new generation in every partition; the first one decides, and its answer is given."""
        known = [source.generation for source in await self.known(command.source) if source]
        first = structs.replace(command, generation=max(known) + 1 if known else 0)
        result = await self._batchers[0].submit(first)
        if result.outcome.accepted:
            copy = structs.replace(command, generation=int(result.detail))
            for batcher in self._batchers[1:]:
                await batcher.submit(copy)
        return result

    async def move_authority(self, command: MoveAuthority) -> Result:
        """Cut a location over to another source: decided by the first partition, then copied with its version (R31)."""
        result = await self._batchers[0].submit(command)
        if result.outcome is Outcome.APPLIED:
            copy = structs.replace(command, if_version=-1, version=result.seq)
            await asyncio.gather(*(batcher.submit(copy) for batcher in self._batchers[1:]))
        return result

    def watch(self) -> None:
        """Begin to look, unless that was a moment ago or is under way; it may take a while."""
        if time.monotonic() - self._looked_at >= LOOK_S and (self._looking is None or self._looking.done()):
            self._looked_at = time.monotonic()
            self._looking = asyncio.create_task(self._look_quietly())

    async def close(self) -> None:
        """Stop looking, wherever it is."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look_quietly(self) -> None:
        with contextlib.suppress(LedgerError):  # the batcher reports an absent ledger
            await self.look()

    async def look(self) -> None:
        """Show how sources do, and go through the locations whose number changed. Raises LedgerError."""
        for batcher, reader in zip(self._batchers, self._readers, strict=True):
            self._show(await reader.command("HGETALL", reader.key("source")), batcher.clock_offset_ms)
            stored = await reader.command("HGETALL", reader.key("location"))
            found = zip(stored[::2], map(wire.decode_location, stored[1::2]), strict=True)
            waiting = [(name.decode(), location.recheck) for name, location in found if location.recheck]
            # One process is enough; should it die, another one takes over when the lease ends.
            if waiting and await reader.command("SET", reader.key("lease:recheck"), self._name, "NX", "PX", LEASE_MS):
                for location, seq in waiting:
                    await self._go_through(batcher, reader, location, seq)
                await reader.command("DEL", reader.key("lease:recheck"))

    async def _go_through(self, batcher: Batcher, reader: Reader, location: str, seq: int) -> None:
        """All positions there are, in steps: there is no list of those of one location."""
        ending, cursor = b"\0" + location.encode(), b"0"
        page: list[str] = []
        while True:
            cursor, fields = await reader.command("HSCAN", reader.key("pos"), cursor, "COUNT", SCAN, "NOVALUES")
            page += [field.removesuffix(ending).decode() for field in fields if field.endswith(ending)]
            last = int(cursor) == 0
            while len(page) >= PAGE or last:
                skus, page = page[:PAGE], page[PAGE:]
                done = last and not page
                result = await batcher.submit(Recheck(location, seq, skus, done))
                if done or result.outcome is not Outcome.APPLIED:
                    return

    @staticmethod
    def _show(stored: Sequence[bytes], clock_offset_ms: float) -> None:
        now = time.time() * 1000 + clock_offset_ms
        for id, value in list(zip(stored[::2], stored[1::2], strict=True))[:GAUGES_MAX]:
            source = wire.decode_source(value)
            series(SOURCE_LAG, id.decode()).set(source.lag_ms / 1000)
            if source.last_heard:
                series(SOURCE_AGE, id.decode()).set(max(0.0, now - source.last_heard) / 1000)
