"""Repairing: counters become what their records say (DESIGN §5 "Check").

Who looked compared a counter with all its records as they were at one seq. Every command changes both alike, so the
difference is the same at any later seq, and that is what the command carries: nobody has to stop writing, and nothing
is guessed. A seller's count begins anew with its policy, and a customer's never falls below zero: these must still be
what was seen. The exception that told of the drift is what makes a repair count once.
"""

from copy import deepcopy

from atp.domain.exceptions import Kind, subject
from atp.domain.ids import identity_of
from atp.domain.outcomes import Outcome
from atp.domain.projection import Day, tidy
from atp.domain.records import GRACE_MS
from atp.domain.repair_commands import MADE_ANEW, Correction, PutBack, Repair, version_in
from atp.domain.repair_entries import Corrected, RecordPutBack, Repaired
from atp.domain.results import Result
from atp.domain.rules import shortage
from atp.domain.rules.batch import Batch
from atp.domain.rules.clock import deadline_of, find_record
from atp.domain.rules.contended import BY_SELLER
from atp.domain.rules.exceptions import end_exception
from atp.domain.rules.legs import schedule
from atp.domain.rules.naming import name, reschedule, unname
from atp.domain.sellers import SEPARATOR
from atp.domain.state import Position, Sku, SourceNumber

_OF_POSITION = ("held", "committed", "pegged", "due", "quantity", "number", "included", "pending")


def repair(batch: Batch, c: Repair) -> Result:
    """Change counters by what they differ; all of them, or none when one cannot be what was seen."""
    if batch.state.exceptions.get(subject(Kind.DRIFT, c.sku, c.location, c.source, "")) != c.raised:
        return Result(Outcome.NOT_FOUND, batch.state.seq, detail=Kind.DRIFT)
    seen = [_value(batch, c, x) for x in c.corrections]
    if any(value is None for value in seen):
        return Result(Outcome.MOVED_ON, batch.state.seq)
    before = shortage.unpromised(batch, c.sku, c.location) if c.location else 0
    corrected: list[Corrected] = []
    for x, value in zip(c.corrections, seen, strict=True):
        assert value is not None
        _set(batch, c, x, value + x.by)
        corrected.append(Corrected(x.counter, x.name, value, value + x.by, x.value))
    seq = batch.next_seq()
    if c.sku:
        batch.touch(seq, [c.sku])
    balances = [batch.balance(c.sku, c.location)] if c.location else []
    batch.entries.append(
        Repaired(seq, batch.now, c.client, c.cause, c.sku, c.location, c.source, c.raised, corrected, balances)
    )
    end_exception(batch, Kind.DRIFT, c.cause, c.sku, c.location, c.source, "", "repaired", "", c.client)
    if c.location:
        shortage.report(batch, c.sku, c.location, c.cause, before)
    return Result(Outcome.APPLIED, seq)


def put_back(batch: Batch, c: PutBack) -> Result:
    """Keep a record anew, with its deadline and its order; one that the ledger lost comes from the journal.

    Its deadline is the one that counts, as whenever a record is written again (R22).
    """
    state, identity = batch.state, identity_of(c.id)
    if state.exceptions.get(subject(Kind.DRIFT, "", "", "", c.id)) != c.raised:
        return Result(Outcome.NOT_FOUND, state.seq, detail=Kind.DRIFT)
    found, buried = find_record(batch, identity), state.tombstones.get(identity)
    if c.record:
        record, known = deepcopy(c.record[0]), found or buried
        if known is not None and (known.id != c.id or known.seq > record.seq):
            return Result(Outcome.MOVED_ON, state.seq)
        if any(a.held for line in record.lines for a in line.allocations):
            record.expires_at = deadline_of(batch, record.expires_at + GRACE_MS) - GRACE_MS
        found = state.reservations[identity] = record
        state.tombstones.pop(identity, None)
    kept, balances = [], []
    if found is not None and found.id == c.id:
        if c.order_ref != found.order_ref:
            unname(state, c.id, c.order_ref)
        name(state, found)
        batch.keep(found)
        copy, balances = batch.after(found)
        seq, kept = found.seq, [copy]
    else:
        unname(state, c.id, c.order_ref)
        state.due.pop(c.id, None)
        seq = batch.next_seq()
    schedule(state, c.id)
    batch.entries.append(RecordPutBack(seq, batch.now, c.client, c.cause, c.id, c.order_ref, c.raised, kept, balances))
    end_exception(batch, Kind.DRIFT, c.cause, "", "", "", c.id, "repaired", "", c.client)
    return Result(Outcome.APPLIED, seq)


def _value(batch: Batch, c: Repair, x: Correction) -> int | None:
    """What the counter is, or None if the correction does not go with it any more."""
    state, item = batch.state, batch.state.skus.get(c.sku) or Sku()
    position = item.positions.get(c.location) or Position()
    match x.counter:
        case "held":
            return position.held
        case "committed":
            return position.committed
        case "pegged" | "due" | "quantity":
            return getattr(position.supply.get(x.name) or Day(), x.counter)
        case "number":
            return position.sources.get(c.source, SourceNumber()).number
        case "included":
            return position.sources.get(x.name, SourceNumber()).included
        case "pending":
            source, version = version_in(x.name)
            known = position.sources.get(source, SourceNumber())
            return known.pending.get(version, 0) if version > known.version else None
        case "contended":
            return state.contended.get(_tentative(c, x), 0)
        case "used":
            share = item.sellers.get(x.name)
            return share.used if share and share.since == x.value else None
        case "holding":
            return _if_seen(state.holding.get(_customer(x), 0), x)
        case "buyers":
            campaign, customer = _customer(x)
            return _if_seen(state.buyers.get((campaign, c.sku, customer), 0), x)
        case "exception":
            return _if_seen(state.exceptions.get(x.name, 0), x)
        case _:
            assert x.counter in MADE_ANEW
            return 0  # the reference adds up and counts whenever it is asked


def _set(batch: Batch, c: Repair, x: Correction, value: int) -> None:
    state = batch.state
    position = batch.position(c.sku, c.location) if x.counter in _OF_POSITION else Position()
    match x.counter:
        case "held":
            position.held = value
        case "committed":
            position.committed = value
        case "pegged" | "due" | "quantity":
            day = position.supply.setdefault(x.name, Day())
            setattr(day, x.counter, value)
            day.starts_at = x.value or day.starts_at
            tidy(position.supply, x.name)
        case "number":
            position.sources.setdefault(c.source, SourceNumber()).number = value
        case "included":
            position.sources.setdefault(x.name, SourceNumber()).included = value
        case "pending":
            source, version = version_in(x.name)
            _count(position.sources.setdefault(source, SourceNumber()).pending, version, value)
        case "contended":
            _count(state.contended, _tentative(c, x), value)
        case "used":
            batch.sku(c.sku).sellers[x.name].used = value
        case "holding":
            _count(state.holding, _customer(x), value)
        case "buyers":
            campaign, customer = _customer(x)
            _count(state.buyers, (campaign, c.sku, customer), value)
        case "exception":
            _count(state.exceptions, x.name, value)
        case "sums" | "places":
            batch.sku(c.sku)
        case "awaited":
            if x.name in state.orders:
                reschedule(state, x.name)
        case "count":
            pass


def _if_seen(value: int, x: Correction) -> int | None:
    return value if value == x.value else None


def _tentative(c: Repair, x: Correction) -> tuple[str, str]:
    return (BY_SELLER + x.name, c.sku) if x.name else (c.sku, c.location)


def _customer(x: Correction) -> tuple[str, str]:
    channel, _, customer = x.name.partition(SEPARATOR)
    return channel, customer


def _count[K](counts: dict[K, int], key: K, value: int) -> None:
    if value:
        counts[key] = value
    else:
        counts.pop(key, None)
