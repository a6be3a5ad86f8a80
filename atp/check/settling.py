"""Settling: the exact difference between counters and their records, whatever is written meanwhile.

Records are read page by page, each page as of its seq, and brought to the seq at which the counters are read by the
entries in between. Nobody waits, and no call is long: what is read at once are the counters, not their records.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import batched

from msgspec import Struct

from atp.check import counters, stored
from atp.check.counters import Key, Part, Since
from atp.check.findings import Finding, of_counter
from atp.check.following import Name, changes, deliveries, entries_between, parts_of
from atp.check.partition import Partition
from atp.domain.records import Reservation
from atp.domain.sellers import SEPARATOR


class _Known(Struct):
    """One record as of a seq."""

    seq: int
    first_seq: int
    parts: list[Part]


class Settling:
    """The counters in question, and all records that add to them.

    ``lost`` are records that the ledger should have: a counter that misses nothing but them is right.
    """

    def __init__(self, at: Partition, suspects: Iterable[Key], lost: Iterable[Reservation] = ()) -> None:
        self._at = at
        self._lost = list(lost)
        # Of a source's acknowledged units all are compared together: a level moves them from one count to another.
        self._suspects = {counters.source_of(key) for key in suspects}
        self._known: dict[Name, _Known] = {}
        self._starts: dict[Key, int] = {}
        self._begun = 0
        self._read = 0  # entries up to here are in

    async def run(self) -> list[Finding]:
        """The counters that differ from their records. Raises EntriesGone, LedgerError, JournalError."""
        if not self._suspects:
            return []
        self._begun = self._read = await self._at.head()
        await self._read_records()
        for record in self._lost:
            self._known.pop(("reservation", record.id), None)
            self._note(("reservation", record.id), self._begun, record.first_seq, parts_of(record, self._at.here))
        found: list[Finding] = []
        for chunk in batched(sorted(self._suspects), self._at.settings.chunk):
            found += await self._compare(chunk)
        return found

    async def _read_records(self) -> None:
        async for seq, identity, raw in self._at.pages("res"):
            if record := stored.reservation(identity, raw):
                self._note(("reservation", record.id), seq, record.first_seq, parts_of(record, self._at.here))
        async for seq, id, raw in self._at.pages("legs"):
            leg = stored.leg(id, raw)
            self._note(("leg", leg.id), seq, leg.first_seq, parts_of(leg, self._at.here))
        if any(key.counter == "quantity" for key in self._suspects):
            async for seq, field, raw in self._at.pages("supply"):
                sku, location, id = field.decode().split("\0")
                _, day, starts_at, quantity, received, *_ = stored.plain(raw)
                self._expect(("supply", sku, location, id), seq, day, starts_at, max(0, quantity - received))

    def _note(self, name: Name, seq: int, first_seq: int, parts: list[Part]) -> None:
        """Remember what concerns us; what was of no concern may be from now on."""
        known = self._known.get(name)
        if known is not None and known.seq >= seq:
            return
        parts = [(key, units) for key, units in parts if counters.source_of(key) in self._suspects]
        if parts or known is not None:
            self._known[name] = _Known(seq, first_seq, parts)

    def _expect(self, name: Name, seq: int, day: str, starts_at: int, left: int) -> None:
        key = Key("quantity", name[1], name[2], day)
        self._starts[key] = starts_at or self._starts.get(key, 0)
        self._note(name, seq, seq, list(counters.of_supply(name[1], name[2], day, left)))

    async def _follow(self, through: int) -> None:
        at = self._at
        async for entry in entries_between(at.ledger, at.journal, at.number, self._read, through):
            for name, record in changes(entry):
                self._note(name, entry.seq, record.first_seq if record else 0, parts_of(record, at.here))
            if delivery := deliveries(entry):
                name, day, starts_at, left = delivery
                known = self._known.get(name)
                day = day or (known.parts[0][0].name if known and known.parts else "")
                if day:
                    self._expect(name, entry.seq, day, starts_at, left)
        self._read = through

    async def _compare(self, chunk: Sequence[Key]) -> list[Finding]:
        seq, values, since = await self._values(chunk)
        await self._follow(seq)
        sums: dict[Key, int] = defaultdict(int)
        for known in self._known.values():
            for key, units in known.parts:
                key = since.placed(key)
                if counters.source_of(key) in values:
                    values.setdefault(key, 0)
                if key in values and since.counts(key, known.first_seq):
                    sums[key] += units
        found: list[Finding] = []
        for key, value in values.items():
            if key.counter in ("used", "buyers"):
                if not _still_counts(key, since):
                    continue
                if value > sums[key]:  # what ended long ago is in the journal alone
                    sums[key] += await self._gone(key, since, value - sums[key])
            if value != sums[key]:
                found.append(of_counter(key, self._at.number, seq, value, sums[key], self._value(key, value, since)))
        return found

    async def _values(self, chunk: Sequence[Key]) -> tuple[int, dict[Key, int], Since]:
        """The counters, since when sellers and campaigns count, all as of one seq."""
        places = sorted({(k.sku, k.location) for k in chunk if k.location and k.counter != "contended"})
        skus = sorted({k.sku for k in chunk if k.counter == "used"})
        customers = [k for k in chunk if k.counter == "holding"]
        tentative = [k for k in chunk if k.counter == "contended"]
        bought_in = [k for k in chunk if k.counter == "buyers"]
        campaigns = sorted({k.name.partition(SEPARATOR)[0] for k in bought_in})
        buyers = {
            id: [k for k in chunk if k.counter == "buyers" and k.name.startswith(id + SEPARATOR)] for id in campaigns
        }
        asked: list[tuple] = [
            ("HMGET", "pos", *(f"{sku}\0{location}" for sku, location in places)),
            ("HMGET", "sku", *skus),
            ("HMGET", "holding", *(k.name.replace(SEPARATOR, "\0", 1) for k in customers)),
            ("HMGET", "contended", *(_field(k) for k in tentative)),
            ("HMGET", "campaign", *campaigns),
            *(("HMGET", "buyers:" + id, *(f"{k.sku}\0{k.name.partition(SEPARATOR)[2]}" for k in keys))
              for id, keys in buyers.items()),
        ]  # fmt: skip
        seq, (positions, items, held, contended, standing, *bought) = await self._at.look(asked)
        values: dict[Key, int] = dict.fromkeys(chunk, 0)
        since = Since()
        for (sku, location), raw in zip(places, positions, strict=True):
            position = stored.position(raw)
            since.versions |= {(sku, location, source): known.version for source, known in position.sources.items()}
            found = counters.in_position(sku, location, position)
            values |= {key: units for key, units in found if key in values or counters.source_of(key) in values}
        for sku, raw in zip(skus, items, strict=True):
            for name, _, _, used, began, _ in stored.plain(raw)[7] if raw else []:
                since.sellers[sku, name] = began
                if (key := Key("used", sku, "", name)) in values:
                    values[key] = used
        for id, raw in zip(campaigns, standing, strict=True):
            _, phase, began, _ = stored.plain(raw) if raw else (0, 2, 0, [])
            if phase < 2:
                since.campaigns[id] = began
        pairs = [(customers, held), (tentative, contended), *zip(buyers.values(), bought, strict=True)]
        for keys, numbers in pairs:
            values |= {key: int(n) for key, n in zip(keys, numbers, strict=True) if n}
        return seq, values, since

    async def _gone(self, key: Key, since: Since, wanted: int) -> int:
        """Units that reservations of which the ledger has no whole record brought to a seller's or buyer's count."""
        if self._at.partitions > 1:
            return wanted  # ended legs have left no record of their own anywhere: told from nothing, so not told
        if key.counter == "used":
            first = since.sellers[key.sku, key.name]
        else:
            first = since.campaigns[key.name.partition(SEPARATOR)[0]]
        if first < await self._at.journal.begins(self._at.number):
            return wanted  # they may have left the journal
        units = 0
        async for record in self._at.ended_since(key.sku, first, self._begun):
            if ("reservation", record.id) not in self._known:
                units += sum(n for k, n in parts_of(record, self._at.here) if k == key)
        return units

    def _value(self, key: Key, value: int, since: Since) -> int:
        """What its correction goes with."""
        if key.counter == "used":
            return since.sellers[key.sku, key.name]
        if key.counter in ("holding", "buyers"):
            return value
        return self._starts.get(key, 0)


def _still_counts(key: Key, since: Since) -> bool:
    if key.counter == "used":
        return (key.sku, key.name) in since.sellers
    return key.name.partition(SEPARATOR)[0] in since.campaigns


def _field(key: Key) -> str:
    return f"{key.sku}\0{key.location}" if key.location else f"\x1e{key.name}\0{key.sku}"
