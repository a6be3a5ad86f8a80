"""Confirming: what a pass has put aside is looked at again, each thing as of one seq, with the journal at that seq.

What was changed after it was looked at is looked at once more; what changes every time is alive, and each change told
the journal all of it anew.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched

from atp.check import stored
from atp.check.counters import Key
from atp.check.findings import Finding
from atp.check.partition import NEVER, Partition
from atp.domain.records import GRACE_MS, Reservation
from atp.domain.state import ORDER_IDS_MAX, Position
from atp.journal import Level

#: Between two looks at what was changed in between.
_PAUSE_S = 0.1

#: A sku and a location.
Place = tuple[str, str]

#: States in which a reservation has live units.
LIVE = ("held", "committed", "acknowledged")


#: What is to be put back: the journal's record, or None for the ledger's own, of which the journal is to hear.
Lost = dict[str, Reservation | None]


async def reservations(at: Partition, suspects: dict[str, set[str]]) -> tuple[list[Finding], Lost]:
    """What differs of deadlines, orders and records; and the records that are to be put back."""
    found: list[Finding] = []
    lost: Lost = {}
    left = dict(suspects)
    for _ in range(at.settings.rounds):
        again: dict[str, set[str]] = {}
        for chunk in _chunks(at, left):
            again |= await _look_at(at, {id: set(left[id]) for id in chunk}, found, lost)
        if not (left := again):
            break
        await asyncio.sleep(_PAUSE_S)
    at.unsettled.update((id,) for id in left)
    return found, lost


async def _look_at(
    at: Partition, suspects: dict[str, set[str]], found: list[Finding], lost: Lost
) -> dict[str, set[str]]:
    """Compare what can be compared; returns what was changed after it was looked at."""
    ids = list(suspects)
    _, (first,) = await at.look([("HMGET", "res", *(id[3:] for id in ids))])
    for id, raw in zip(ids, first, strict=True):
        if (record := _record(id, raw)) and record.order_ref:
            suspects[id].add(record.order_ref)
    refs = sorted(set().union(*suspects.values()))
    asked = [("HMGET", "res", *(id[3:] for id in ids)), ("ZMSCORE", "due", *ids), ("HMGET", "orders", *refs)]
    asked += [("HMGET", "legs", *ids), ("HMGET", "baskets", *(id[3:] for id in ids)), ("ZMSCORE", "undecided", *ids)]
    seq, (records, scores, orders, *undecided) = await at.look(asked)
    named = {ref: stored.plain(raw)[1] if raw else [] for ref, raw in zip(refs, orders, strict=True)}
    await at.journaled(seq)
    journal = await at.journal.checking.newest(ids)
    again: dict[str, set[str]] = {}
    for id, raw, score, leg, basket, asked_at in zip(ids, records, scores, *undecided, strict=True):
        record, (updated, kept) = _record(id, raw), journal.get(id, (0, None))
        if updated > seq or (record and record.order_ref and record.order_ref not in named):
            again[id] = suspects[id]
            continue
        found += _index(at, seq, id, record, None if score is None else int(score), named)
        until, looked_after = stored.deadline(id, leg, basket), int(asked_at or 0)
        if until != looked_after:
            told = str(looked_after or ""), str(until or "")
            found.append(Finding("undecided", "records", at.number, seq, *told, reservation=id))
        if record is not None and record.seq > updated:
            lost[id] = None
        elif kept is not None and kept.state in LIVE and record != kept:
            if not (record is None and await at.is_old(updated)):
                lost[id] = kept
            elif ended := stored.ended(id, raw, kept):
                lost[id] = ended
        if finding := _against_journal(at, seq, id, record, kept):
            found.append(finding)
    return again


def _record(id: str, raw: bytes | None) -> Reservation | None:
    record = stored.reservation(id[3:].encode(), raw)
    return record if record is not None and record.id == id else None


def _index(
    at: Partition, seq: int, id: str, record: Reservation | None, score: int | None, named: dict[str, list[str]]
) -> Iterator[Finding]:
    """Its deadline, and the orders that name it."""
    held = record is not None and any(a.held for line in record.lines for a in line.allocations)
    deadline = record.expires_at + GRACE_MS if record and held else None
    if score != deadline:
        yield Finding(
            "deadline", "records", at.number, seq, str(score or ""), str(deadline or ""), reservation=id
        )  # fmt: skip
    for ref, ids in named.items():
        should = record is not None and record.order_ref == ref
        if (id in ids) != should and (id in ids or len(ids) < ORDER_IDS_MAX):
            told = {True: "named", False: ""}
            yield Finding(
                "order", "records", at.number, seq, told[id in ids], told[should], reservation=id, name=ref
            )  # fmt: skip


def _against_journal(
    at: Partition, seq: int, id: str, record: Reservation | None, kept: Reservation | None
) -> Finding | None:
    if record == kept or (record is None and kept is not None and kept.state not in LIVE):
        return None  # one that ended leaves the ledger sooner or later
    if record is not None and kept is None and record.state not in LIVE:
        return None  # and the journal, where it keeps no more than some days
    ours, theirs = _shown(record), _shown(kept)
    if ours == theirs:
        ours, theirs = ours + " with other contents", theirs
    return Finding("record", "journal", at.number, seq, ours, theirs, reservation=id)


def _shown(r: Reservation | None) -> str:
    return "" if r is None else f"{r.state} at {r.seq}"


async def positions(at: Partition, suspects: Iterable[tuple[str, str]], known: set[Key]) -> list[Finding]:
    """Balances that are not the journal's, but for counters that are ``known`` to be wrong, and sources' numbers."""
    found: list[Finding] = []
    left = set(suspects)
    for _ in range(at.settings.rounds):
        again: set[tuple[str, str]] = set()
        for chunk in _chunks(at, sorted(left)):
            again |= await _look_at_places(at, list(chunk), known, found)
        if not (left := again):
            break
        await asyncio.sleep(_PAUSE_S)
    at.unsettled.update(left)
    return found


async def _look_at_places(
    at: Partition, places: list[tuple[str, str]], known: set[Key], found: list[Finding]
) -> set[tuple[str, str]]:
    seq, (records,) = await at.look([("HMGET", "pos", *(f"{sku}\0{location}" for sku, location in places))])
    read = {place: stored.position(raw) for place, raw in zip(places, records, strict=True)}
    balances = await at.balances(places, seq)
    for (sku, location), position in read.items():
        balance = balances.get((sku, location), NEVER)
        for name, ours, theirs in stored.against(position, balance) if balance else ():
            if ours != theirs and (name, sku, location, "") not in known:
                finding = Finding("balance", "journal", at.number, seq, str(ours), str(theirs), sku, location)
                finding.name = name
                found.append(finding)
    again = set()
    levels = await at.journal.checking.levels(at.number, places)
    for level in [*levels, *await _untold(at, seq, read, levels)]:
        source = read[level.sku, level.location].sources.get(level.source)
        number = source.number if source else None
        if number == level.number:
            continue
        if level.seq > seq:
            again.add((level.sku, level.location))
            continue
        by = level.number - (number or 0)
        if number is not None and await at.is_old(level.seq):
            by = 0  # the repair only tells the journal
        found.append(
            Finding(
                "number", "source", at.number, seq, "" if number is None else str(number),
                str(level.number) if level.seq else "", level.sku, level.location, level.source, by=by,
            )
        )  # fmt: skip
    return again


async def _untold(at: Partition, seq: int, read: Mapping[Place, Position], levels: Sequence[Level]) -> Iterable[Level]:
    """Numbers that a journal which lost entries never heard of: as rows of no seq, and of another number."""
    if not await at.is_old(0):
        return ()
    known = {(level.sku, level.location, level.source) for level in levels}
    numbers = ((*place, of, n.number) for place, position in read.items() for of, n in position.sources.items())
    return [Level(sku, at_, of, 0, n - 1) for sku, at_, of, n in numbers if n and (sku, at_, of) not in known]


async def policies(at: Partition, suspects: Iterable[tuple[str, str]]) -> list[Finding]:
    """Policy objects that are not the journal's."""
    found: list[Finding] = []
    left = sorted(suspects)
    for last in [*[False] * (at.settings.rounds - 1), True]:
        again = []
        for kind, id in left:
            seq, ours = await _policy(at, kind, id)
            await at.journaled(seq)
            there = (await at.journal.checking.policies([(kind, id)])).get((kind, id))
            if ours == there or (kind == "item-channel" and ours and there and ours[0] == there[0]):
                continue
            again.append((kind, id))
            if last:
                shown = ["" if x is None else f"{x[1]} at {x[0]}" for x in (ours, there)]
                finding = Finding("policy", "journal", at.number, seq, *shown, name=f"{kind}/{id}")
                if kind == "item":
                    finding.sku = id
                found.append(finding)
        if not (left := again):
            break
        await asyncio.sleep(_PAUSE_S)
    return found


async def _policy(at: Partition, kind: str, id: str) -> tuple[int, tuple[int, str] | None]:
    """A seq, and version and body of the object in this partition as of then or later."""
    if kind.startswith("item"):
        seq, policy = await at.head(), await at.ledger.policy(kind, id)
        return seq, (policy.version, policy.body) if policy else None
    seq, ((raw,),) = await at.look([("HMGET", "policy", f"{kind}/{id}")])
    return seq, tuple(stored.plain(raw)) if raw else None


def _chunks[T](at: Partition, things: Iterable[T]) -> Iterator[tuple[T, ...]]:
    yield from batched(things, at.settings.chunk)
