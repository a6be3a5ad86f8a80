"""Two laws behind one face: the rules in Python and the Lua library in Valkey, for tests that run on both."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from functools import partial
from typing import Any

from atp.domain.commands import Command, ReserveLine
from atp.domain.entries import AnyEntry
from atp.domain.records import Asked, Reservation, SkuUnits
from atp.domain.results import Result
from atp.domain.rules import apply
from atp.domain.rules.batch import Batch
from atp.domain.rules.sourcing import Sourcing
from atp.domain.state import State
from atp.ledger import keys, library, records, wire
from atp.ledger.connection import Connection, ServerRefused, connect
from atp.ledger.loading import load_library
from tests.scenarios.plain import plain
from tests.scenarios.replaying import Replayed


def records_in(entries: Sequence[AnyEntry]) -> list[Reservation]:
    """The reservations that entries carry, as the journal would keep them."""
    return [record for entry in entries if isinstance(record := getattr(entry, "reservation", None), Reservation)]


#: When the tests' clock starts; any instant after a real server's would do.
START_MS = 4_000_000_000_000


#: Units in all, by location, and by day.
Grants = tuple[int, dict[str, int], list[tuple[str, int]]]


#: Non-zero positions by location, and (sku, location, whether it is not zero).
Unnamed = tuple[dict[str, int], list[tuple[str, str, bool]]]


#: A machine that stands still is no difference between two laws.
PATIENCE_S = 60.0


class RulesLaw:
    """The reference; whatever it does, its entries must bring about again."""

    def __init__(self, partitions: int = 1) -> None:
        self.state = State(seq=1, last_now=START_MS, refused_since=START_MS)
        self.replayed = Replayed(self.state)

    def apply(
        self,
        commands: Sequence[Command],
        now: int,
        settle_max: int = 256,
        sender: int = 0,
        *,
        relief: bool = False,
    ) -> tuple[list[Result], list[AnyEntry]]:
        """``sender``: how far the sender's clock is ahead of the ledger's, ms; ``relief``: memory is full."""
        results, entries = apply(self.state, commands, now, settle_max, now + sender, "test", relief)
        self.replayed.follow(entries, self.state.last_now, self.state.trimmed)
        self.replayed.check(self.state)
        return results, entries

    @staticmethod
    def beside() -> AbstractContextManager["RulesLaw"]:
        """An empty ledger of another partition."""
        return nullcontext(RulesLaw())

    def trim(self, through: int) -> None:
        """The journal has everything up to here."""
        self.state.trimmed = max(self.state.trimmed, min(through, self.state.seq))

    def ats(self, sku: str, asked: Asked, now: int) -> Grants:
        """What a reserve would be granted now: in all, at each location where the channel may sell, and for days."""
        batch = Batch(deepcopy(self.state), now)
        places = [
            at for at in (self.state.skus[sku].positions if sku in self.state.skus else ())
            if asked.location in ("", at) and batch.sells_at(asked.channel, at, asked.location_group)
        ]  # fmt: skip
        campaign = batch.campaign(asked.campaign) if asked.campaign else None
        if asked.campaign and not (
            campaign and campaign.opens <= batch.now < campaign.closes
            and (not campaign.channels or asked.channel in campaign.channels)
        ):  # fmt: skip
            days = [asked.date] if asked.date else self._supply_days(batch, sku, places)
            return 0, dict.fromkeys(places, 0), [(day, 0) for day in days]

        def most(day: str) -> int:
            sourcing = Sourcing(batch, asked.channel, asked.campaign)
            if asked.location:
                return sourcing.free(sku, asked.location, day) if asked.location in places else 0
            drawn = sourcing.fill(ReserveLine("", sku, 0, "", asked.location_group, day), 10**15)
            return sum(units for _, units, _ in drawn)

        sourcing = Sourcing(batch, asked.channel, asked.campaign)
        each = {at: sourcing.free(sku, at) for at in places}
        days = [asked.date] if asked.date else self._supply_days(batch, sku, places)
        return most(""), each, [(day, most(day)) for day in days]

    @staticmethod
    def _supply_days(batch: Batch, sku: str, places: list[str]) -> list[str]:
        """Days with supply that counts at active locations."""
        active = [batch.sku(sku).positions[at] for at in batch.by_rank(places)]
        return sorted({day for p in active for day, on in p.supply.items() if on.quantity and on.starts_at > batch.now})

    def unnamed(self, seq: int, now: int) -> Unnamed:
        """What the sweep of a snapshot finds: per location how many are not zero, and positions it does not name."""
        sweep, counts, found = self.state.sweeps[seq], {}, []
        for sku, item in self.state.skus.items():
            for at, position in item.positions.items():
                known = position.sources.get(sweep.source)
                if known is None or at not in sweep.locations:
                    continue
                counts[at] = counts.get(at, 0) + bool(known.number)
                if not known.has_level or known.version < sweep.version:
                    found.append((sku, at, bool(known.number)))
        return {at: n for at, n in counts.items() if n}, sorted(found)

    def dump(self) -> dict[str, Any]:
        """The whole state in plain values, to be compared with the other law's."""
        return plain(self.state)


class LuaLaw:
    """The library in a real server, driven through one connection without batcher or clock of its own."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: Connection,
        namespace: str,
        partition: int = 0,
        partitions: int = 1,
    ) -> None:
        self._loop, self._connection = loop, connection
        self._namespace, self._partition = namespace, partition
        self._prefix = keys.prefix(namespace, partition)
        self._meta = keys.meta(namespace, partition)
        self._batch, self._seq = 0, 0
        self.next_due = 0  # by the last reply: what the sweeper goes by
        self._replayed = Replayed(State(seq=1, last_now=START_MS, refused_since=START_MS))
        self._trimmed = 0
        self._ask("FCALL", library.function("create"), 1, self._meta, partition, partitions, 1, 1, 0)
        # The tests' clock is not the server's: the refusals' generation must start with it.
        self._ask("HSET", self._meta, "refused_since", START_MS, "last_now", START_MS)

    @classmethod
    def open(
        cls, loop: asyncio.AbstractEventLoop, url: str, namespace: str, partition: int = 0, partitions: int = 1
    ) -> "LuaLaw":
        async def prepare() -> Connection:
            connection = await connect(url, PATIENCE_S)
            connection.ask = partial(connection.ask, timeout_s=PATIENCE_S)  # whoever asks
            await load_library(connection)
            return connection

        return cls(loop, loop.run_until_complete(prepare()), namespace, partition, partitions)

    def apply(
        self,
        commands: Sequence[Command],
        now: int,
        settle_max: int = 256,
        sender: int = 0,
        *,
        relief: bool = False,
    ) -> tuple[list[Result], list[AnyEntry]]:
        self._batch += 1
        header = wire.Header(self._batch, "test", 1, 1, self._seq, now + sender, now, settle_max)
        data = self._ask(
            "FCALL", library.function("apply_relief" if relief else "apply"), 1, self._meta,
            wire.encode_header(header), wire.encode_commands(commands),
        )  # fmt: skip
        reply = wire.decode_reply(data)
        entries: list[AnyEntry] = []
        for _, fields in self._ask("XRANGE", self._prefix + "outbox", f"({self._seq}-0", "+"):
            entries += [entry for entry in wire.decode_entries(fields) if entry.seq > max(self._seq, 1)]
        self._seq, self.next_due = reply.seq, reply.next_due
        self._replayed.follow(entries, reply.now, self._trimmed)
        return reply.results, entries

    @contextmanager
    def beside(self) -> Iterator["LuaLaw"]:
        """An empty ledger of the next partition, which is gone behind the block."""
        there = self._partition + 1
        other = type(self)(self._loop, self._connection, self._namespace, there, there + 1)
        try:
            yield other
            other.check_replay()
        finally:
            self._loop.run_until_complete(other._unlink())

    def trim(self, through: int) -> None:
        self._ask("FCALL", library.function("trim"), 1, self._meta, through)
        self._trimmed = max(self._trimmed, min(through, self._seq))

    def check_replay(self) -> None:
        """The entries bring about what is stored."""
        self._replayed.check(self.state())

    def ats(self, sku: str, asked: Asked, now: int) -> Grants:
        units, stock = self.ask(now, wire.ask_units(sku, asked), wire.ask_sku(sku, asked))
        assert units == SkuUnits(sku, stock.seq, stock.ats)
        return stock.ats, {at.balance.location: at.ats for at in stock.locations}, stock.atp

    def dump(self) -> dict[str, Any]:
        return plain(self.state())

    def state(self) -> State:
        """What is stored."""
        try:
            return records.decode(self.pages())
        except records.RecordsCorrupt as problem:
            raise AssertionError(str(problem)) from problem

    def pages(self) -> list[records.Page]:
        """What is stored, as it is."""

        async def read() -> list[records.Page]:
            return [page async for page in records.read(self._connection.ask, self._prefix)]

        return self._loop.run_until_complete(read())

    def restore(self, state: State) -> None:
        """Store a state in place of what is there, and go on from it. All sums are void, as in a new epoch."""

        async def store() -> None:
            await self._unlink()
            for page in records.encode(state):
                await self._connection.ask(*records.command(self._prefix, page))
            await self._connection.ask("HSET", self._meta, "network", state.seq)

        self._loop.run_until_complete(store())
        self._seq = state.seq

    def unnamed(self, seq: int, now: int) -> Unnamed:
        """The same, page by page."""
        ((sweeps, _),) = self.ask(now, wire.ask_sweeps())
        sweep, counts, found, cursor = dict(sweeps)[seq], {}, [], "0"
        while True:
            page = self.ask(now, wire.ask_unnamed(cursor, 2, sweep.source, sweep.locations, sweep.version))[0]
            for at, n in page.counts:
                counts[at] = counts.get(at, 0) + n
            found += page.unnamed
            cursor = page.cursor
            if cursor == "0":
                return counts, sorted(found)

    def ask(self, now: int, *queries: tuple) -> list:
        """One answer per query of the library's read function."""
        words = library.function("read"), 1, self._meta, wire.encode_queries(queries), 1, 10**9, now
        return wire.decode_answers(queries, wire.decode_read(self._ask("FCALL", *words)).answers)

    def refuses(self, header: wire.Header, commands: Sequence[Command]) -> str:
        """The code of a batch that is refused whole."""
        try:
            self._ask(
                "FCALL", library.function("apply"), 1, self._meta,
                wire.encode_header(header), wire.encode_commands(commands),
            )  # fmt: skip
        except ServerRefused as refused:
            return str(refused)
        return ""

    def close(self) -> None:
        async def end() -> None:
            await self._unlink()
            await self._connection.end()

        self._loop.run_until_complete(end())

    async def _unlink(self) -> None:
        if found := await self._connection.ask("KEYS", self._prefix + "*"):
            await self._connection.ask("UNLINK", *found)

    def _ask(self, *words: bytes | str | int) -> Any:
        return self._loop.run_until_complete(self._connection.ask(*words))
