"""Explaining: the reading of one sku at an earlier position, put together from entries (DESIGN §1 P6).

Bounded at any age: an indexed step per location finds its last balance, one batch of the journal is read where the
position falls inside it, and at most ``TOLD_MAX`` stock events are looked through for the levels.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, json, structs

from atp.domain.entries import (
    Adjusted,
    AnyEntry,
    AuthorityTaken,
    DeltaApplied,
    EntriesMissing,
    FallbackTaken,
    LevelSet,
    PolicyPut,
    ReturnTaken,
    SourceSeen,
    StatusSet,
    SupplyReceived,
)
from atp.domain.entry import counted_source
from atp.domain.explain import LocationReading, SkuReading, SourceReading, open_stock
from atp.domain.records import Balance
from atp.journal.connections import Connection
from atp.journal.errors import NotJournaled

#: Stock events of a sku that are looked through, newest first. Older levels stay unnamed inside their number.
TOLD_MAX = 10_000

_NONE = (0, 0, 0)

_decode = json.Decoder(AnyEntry).decode

#: What changes a source's own number.
_Told = LevelSet | DeltaApplied | SupplyReceived | ReturnTaken | Adjusted


class _Listed(Struct):
    source: str
    role: str


class _Location(Struct):
    priority: int = 0
    active: bool = True
    sources: list[_Listed] = []

    def listed(self, role: str) -> str:
        return next((listed.source for listed in self.sources if listed.role == role), "")


class _Source(Struct):
    measure: str = "on_hand"


class Past:
    """One partition at one seq."""

    def __init__(self, connection: Connection, sql: Mapping[str, str], partition: int, seq: int, begins: int) -> None:
        """``begins`` is where the journal begins since old days go, 0 if none has gone."""
        self._connection, self._sql, self._partition, self._seq = connection, sql, partition, seq
        self._begins = begins

    async def reading(self, sku: str) -> SkuReading:
        """The sku as it was after the entry ``seq``; without locations if nobody had heard of it. Raises NotJournaled.

        Before the shares of channels: what each had used at that time would have to be counted from all its sales. Also
        before what promises for later days need: those depend on what was expected then.
        """
        balances = await self._balances(sku)
        told, unsellable, complete = await self._told(sku)
        item = await self._last(f"item:{sku}", "policy-put")
        found: list[tuple[tuple, LocationReading]] = []
        for location, balance in balances.items():
            policy = await self._last(f"location:{location}", "policy-put")
            version, body = (policy.version, policy.body) if isinstance(policy, PolicyPut) else (0, "")
            known = json.decode(body, type=_Location) if body else None
            authority = await self._authority(location, known)
            sources = [await self._source(of, events, complete) for (at, of), events in told.items() if at == location]
            # The authority and what it measures may have changed since the entry that carries the balance. What another
            # source had counted is not in it then, and so not left out (errs low).
            numbers = {authority: 0 if complete else balance.number} | {s.source: s.number for s in sources}
            by = {
                id: await self._balance_by(balance, id, number, unsellable.get((location, id), 0))
                for id, number in numbers.items()
            }
            for source in sources:
                source.free = by[source.source].free
            fallback = await self._fallback(location, known, authority, told)
            beside = [s.source for s in sources if s.source == fallback and s.has_level]
            selling = min([authority, *beside], key=lambda id: by[id].free)
            balance = by[selling]
            rank = (known is None, known.priority if known else 0, location)
            active = known is not None and known.active
            reading = LocationReading(balance, active, selling, version, body, sources, 0, 0, 0, bool(fallback))
            reading.uncapped = reading.ats = open_stock(reading)
            found.append((rank, reading))
        locations = [at for _, at in sorted(found, key=lambda pair: pair[0])]
        units = sum(at.ats for at in locations)
        version = item.version if isinstance(item, PolicyPut) else 0
        return SkuReading(sku, self._seq, version, locations, units, units, True, [])

    async def _check_missing(self, seqs: set[int]) -> None:
        """Raise NotJournaled if lost entries may have changed what these tell of (R20)."""
        for row in await self._fetch("missing_before", self._partition, self._seq):
            missing = _decode(row["body"])
            if isinstance(missing, EntriesMissing) and any(seq < missing.seq for seq in seqs):
                raise NotJournaled(f"the journal lost the entries from {missing.after + 1} to {missing.seq}")

    async def _balances(self, sku: str) -> dict[str, Balance]:
        """The last balance of every position: of the entry before, or of one in the batch the seq falls into."""
        rows = await self._fetch("positions_at", sku, self._partition, self._seq)
        seqs = {row["seq"] for row in rows if row["seq"] is not None}
        await self._check_missing(seqs)
        entries = [_decode(row["body"]) for row in await self._fetch("entries_at", self._partition, list(seqs))]
        if any(row["seq"] is not None and row["seq"] < self._begins for row in rows):
            raise NotJournaled(
                f"the journal begins at {self._begins}, and {sku} was last changed before, at some location"
            )
        inside = [row["after"] for row in rows if row["after"] is not None and row["after"] < self._seq]
        if inside:
            between = await self._fetch("entries_between", self._partition, min(inside), self._seq)
            entries += [_decode(row["body"]) for row in between]
        entries.sort(key=lambda entry: entry.seq)
        return {b.location: b for entry in entries for b in getattr(entry, "balances", ()) if b.sku == sku}

    async def _told(self, sku: str) -> tuple[dict[tuple[str, str], list[_Told]], dict[tuple[str, str], int], bool]:
        """By location and source what was told since the last level, newest first; what cannot be sold; and whether
        that is all of it."""
        rows = await self._fetch("stock_told", self._partition, sku, self._seq, TOLD_MAX)
        told: dict[tuple[str, str], list[_Told]] = {}
        unsellable: dict[tuple[str, str], int] = {}
        for row in rows:
            entry = _decode(row["body"])
            if isinstance(entry, StatusSet | ReturnTaken):
                unsellable.setdefault((entry.location, counted_source(entry)), entry.unsellable)
            if isinstance(entry, _Told):
                events = told.setdefault((entry.location, counted_source(entry)), [])
                if not events or not isinstance(events[-1], LevelSet):
                    events.append(entry)
        return told, unsellable, len(rows) < TOLD_MAX and not self._begins

    async def _source(self, id: str, events: list[_Told], complete: bool) -> SourceReading:
        newest, oldest = events[0], events[-1]
        seen = await self._last(id, "source-seen")
        kind = seen.version_kind if isinstance(seen, SourceSeen) else "sequence"
        as_of = max(event.as_of for event in events)
        if isinstance(oldest, LevelSet):
            deltas, count, version = newest.number - oldest.quantity, len(events) - 1, oldest.version
        else:
            deltas, count, version = (newest.number, len(events), _NONE) if complete else (0, -1, _NONE)
        has_level = isinstance(oldest, LevelSet) or not complete
        return SourceReading(id, kind, newest.number, has_level, version, as_of, 0, deltas, count, False)

    async def _authority(self, location: str, known: _Location | None) -> str:
        if known and known.sources:
            return known.listed("authority")
        taken = await self._last(location, "authority-taken")
        return taken.source if isinstance(taken, AuthorityTaken) else ""

    async def _fallback(
        self, location: str, known: _Location | None, authority: str, told: dict[tuple[str, str], list[_Told]]
    ) -> str:
        """The source that sold beside the silent authority at a position, or "" (R12)."""
        taken = await self._last(location, "fallback-taken")
        if known is None or not isinstance(taken, FallbackTaken):
            return ""
        pair = (taken.source, taken.fallback)
        seq = self._seq
        while isinstance(put := await self._last(f"location:{location}", "policy-put", seq), PolicyPut):
            policy = json.decode(put.body, type=_Location)
            if (policy.listed("authority"), policy.listed("fallback")) != pair:
                return ""  # a put of another pair ends it, now or in between
            if put.seq < taken.seq:
                break
            seq = put.seq - 1
        events = told.get((location, authority), [])
        returned = any(isinstance(event, LevelSet) and event.seq > taken.seq for event in events)
        return "" if returned else taken.fallback

    async def _balance_by(self, balance: Balance, source: str, number: int, unsellable: int) -> Balance:
        """The position by one source's number."""
        measure = await self._measure(source)
        included = balance.included if balance.measure == measure == "available" else 0
        return structs.replace(balance, number=number, unsellable=unsellable, included=included, measure=measure)

    async def _measure(self, source: str) -> str:
        policy = await self._last(f"source:{source}", "policy-put")
        return json.decode(policy.body, type=_Source).measure if isinstance(policy, PolicyPut) else "on_hand"

    async def _last(self, subject: str, kind: str, seq: int | None = None) -> AnyEntry | None:
        rows = await self._fetch("last_of", self._partition, subject, kind, self._seq if seq is None else seq)
        return _decode(rows[0]["body"]) if rows else None

    async def _fetch(self, name: str, *arguments: object) -> list[Any]:
        return await self._connection.fetch(self._sql[name], *arguments)
