"""Indexes: what leads to records, counts them, or follows from records elsewhere; looked at again, as of one seq."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from itertools import batched

from atp.check import stored
from atp.check.findings import Finding
from atp.check.partition import Partition
from atp.domain.exceptions import Kind, subject
from atp.domain.ids import reservation_partition
from atp.domain.records import Leg, Line, Reservation

#: Between two looks at what changes by the work of others.
_PAUSE_S = 0.1


async def places(at: Partition, suspects: Iterable[tuple[str, str]]) -> list[Finding]:
    """Positions that their sku does not list, or lists twice, and listed ones that are not there."""
    found: list[Finding] = []
    for chunk in batched(sorted(suspects), at.settings.chunk):
        skus = sorted({sku for sku, _ in chunk})
        asked = [("HMGET", "sku", *skus), ("HMGET", "places", *skus)]
        seq, (records, apart, positions) = await at.look([*asked, ("HMGET", "pos", *map("\0".join, chunk))])
        lists = {sku: stored.locations(*raw) for sku, *raw in zip(skus, records, apart, strict=True)}
        for (sku, location), raw in zip(chunk, positions, strict=True):
            times, wanted = lists[sku].count(location), int(raw is not None)
            if times != wanted:
                told = str(times), str(wanted)
                found.append(Finding("places", "records", at.number, seq, *told, sku, name=location))
    return found


async def awaited(at: Partition, suspects: Iterable[str]) -> list[Finding]:
    """Orders that events wait for, and the times when those are given up."""
    found: list[Finding] = []
    for chunk in batched(sorted(suspects), at.settings.chunk):
        seq, (orders, scores) = await at.look([("HMGET", "orders", *chunk), ("ZMSCORE", "awaited", *chunk)])
        for ref, raw, score in zip(chunk, orders, scores, strict=True):
            until, told = stored.awaited(raw), int(score or 0)
            if until != told:
                found.append(Finding("awaited", "records", at.number, seq, str(told or ""), str(until or ""), name=ref))
    return found


async def counts(at: Partition) -> list[Finding]:
    """How many of some records there are, as the law has it before it looks for one."""
    seq = await at.head()
    told = (await at.counts()).items()
    return [Finding("count", "records", at.number, seq, str(n), str(m), name=name) for name, (n, m) in told if n != m]


async def exceptions(at: Partition) -> list[Finding]:
    """Exceptions that are open for the ledger and not for the journal, or the other way round."""
    ours = {name.decode(): int(raised) async for _, name, raised in at.pages("exception")}

    async def differ(names: Collection[str] | None) -> dict[str, tuple[int, int]]:
        await at.journaled(await at.head())
        theirs = await at.journal.checking.open_exceptions(at.number)
        if names is not None:
            _, (raised,) = await at.look([("HMGET", "exception", *names)])
            ours.update((name, int(seq or 0)) for name, seq in zip(names, raised, strict=True))
        pairs = {name: (ours.get(name, 0), theirs.get(name, 0)) for name in (names or ours.keys() | theirs)}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    left = await _lasting(at, await differ(None), differ)
    seq = await at.head()
    return [
        Finding("exception", "journal", at.number, seq, str(n or ""), str(m or ""), name=name, by=m - n, value=n)
        for name, (n, m) in left.items()
        if name != subject(Kind.DRIFT, "", "", "", "")  # it tells of this kind of drift
    ]


async def behind(at: Partition, legs: Mapping[str, Leg]) -> dict[str, tuple[int, list[Line]]]:
    """Legs that are not what their record at home says, though nobody is about to tell them: what they should be."""
    by_home: dict[int, list[str]] = {}
    for id in legs:
        if (home := reservation_partition(id, at.partitions)) not in (None, at.number):
            by_home.setdefault(home, []).append(id)
    records: dict[str, Reservation | None] = {}
    for home, ids in by_home.items():
        for id, (raw, following) in zip(ids, await at.at_home(home, ids), strict=True):
            if following is None:
                record = stored.reservation(id[3:].encode(), raw)
                records[id] = record if record is not None and record.id == id else None
    gone = [id for id, record in records.items() if record is None]  # they ended long ago
    records |= {id: record for id, (_, record) in (await at.journal.checking.newest(gone)).items()} if gone else {}
    found: dict[str, tuple[int, list[Line]]] = {}
    for id, record in records.items():
        lines = [line for line in record.lines if at.here(line.sku)] if record else []
        if record and record.seq >= legs[id].seq and _units(lines) != _units(legs[id].lines):
            found[id] = record.seq, lines
    return found


async def legs(at: Partition, suspects: Collection[str]) -> tuple[list[Finding], dict[str, tuple[int, list[Line]]]]:
    """Those that stay behind, and what their records at home say."""

    async def look(ids: Collection[str]) -> dict[str, tuple[int, list[Line]]]:
        _, (records,) = await at.look([("HMGET", "legs", *ids)])
        found = {id: stored.leg(id.encode(), raw) for id, raw in zip(ids, records, strict=True) if raw}
        return await behind(at, {id: leg for id, leg in found.items() if leg.seq})

    left = await _lasting(at, dict.fromkeys(suspects), look)
    seq = await at.head()
    return [
        Finding("leg", "records", at.number, seq, "behind", f"as of {home}", reservation=id)
        for id, (home, _) in left.items()
    ], left


async def _lasting[T](
    at: Partition, left: Mapping[str, object], look: Callable[[Collection[str]], Awaitable[dict[str, T]]]
) -> dict[str, T]:
    """What differs each time it is looked at: all else was on its way."""
    found: dict[str, T] = {}
    for _ in range(at.settings.rounds):
        if not left:
            return {}
        found = left = await look(list(left))
        await asyncio.sleep(_PAUSE_S)
    return found


def _units(lines: Collection[Line]) -> dict[tuple[str, str, str], list[int]]:
    units: dict[tuple[str, str, str], list[int]] = {}
    for line in lines:
        for a in line.allocations:
            known = units.setdefault((line.sku, a.location, a.supply), [0, 0])
            known[0], known[1] = known[0] + a.held, known[1] + a.committed
    return {place: found for place, found in units.items() if any(found)}
