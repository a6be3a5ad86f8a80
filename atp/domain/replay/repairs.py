"""Replay of repairs: counters are what the check made them, a record is put back beside its counters.

Drift is in no entry, so of a ledger that drifted these are the values that a replayed state has anyhow.
"""

from atp.domain.projection import Day, tidy
from atp.domain.repair_commands import version_in
from atp.domain.repair_entries import Corrected, RecordPutBack, Repaired
from atp.domain.replay.balances import number_of, position_of, sku_of, take
from atp.domain.replay.reservations import store
from atp.domain.rules.contended import BY_SELLER
from atp.domain.rules.naming import name, unname
from atp.domain.sellers import SEPARATOR
from atp.domain.state import State


def _repaired(state: State, entry: Repaired) -> None:
    for corrected in entry.corrected:
        _set(state, entry, corrected)
    if entry.sku:
        sku_of(state, entry.sku).seq = entry.seq
    take(state, entry.seq, entry.balances)


def _set(state: State, entry: Repaired, x: Corrected) -> None:
    match x.counter:
        case "pegged" | "due" | "quantity":
            days = position_of(state, entry.sku, entry.location).supply
            day = days.setdefault(x.name, Day())
            setattr(day, x.counter, x.after)
            day.starts_at = x.value or day.starts_at or _start_of(state, entry, x.name)
            tidy(days, x.name)
        case "number":
            number_of(position_of(state, entry.sku, entry.location), entry.source).number = x.after
        case "included":
            number_of(position_of(state, entry.sku, entry.location), x.name).included = x.after
        case "pending":
            source, version = version_in(x.name)
            _count(number_of(position_of(state, entry.sku, entry.location), source).pending, version, x.after)
        case "exception":
            _count(state.exceptions, x.name, x.after)
        case "contended":
            place = (BY_SELLER + x.name, entry.sku) if x.name else (entry.sku, entry.location)
            _count(state.contended, place, x.after)
        case "used":
            state.skus[entry.sku].sellers[x.name].used = x.after
        case "holding":
            channel, _, customer = x.name.partition(SEPARATOR)
            _count(state.holding, (channel, customer), x.after)
        case "buyers":
            campaign, _, customer = x.name.partition(SEPARATOR)
            _count(state.buyers, (campaign, entry.sku, customer), x.after)
        case _:
            pass  # held and committed are in the balances, the rest is counted anew


def _start_of(state: State, entry: Repaired, day: str) -> int:
    """When a day of supply begins, by a delivery that is due on it."""
    supplies = state.supplies.items()
    here = (x.starts_at for (sku, at, _), x in supplies if (sku, at, x.day) == (entry.sku, entry.location, day))
    return max(here, default=0)


def _count[K](counts: dict[K, int], key: K, value: int) -> None:
    if value:
        counts[key] = value
    else:
        counts.pop(key, None)


def _put_back(state: State, entry: RecordPutBack) -> None:
    if not entry.record:
        unname(state, entry.id, entry.order_ref)
        state.due.pop(entry.id, None)
        return
    (record,) = entry.record
    if entry.order_ref != record.order_ref:
        unname(state, entry.id, entry.order_ref)
    name(state, record)
    store(state, entry.seq, entry.at, record)
    take(state, entry.seq, entry.balances)


EFFECTS = {Repaired: _repaired, RecordPutBack: _put_back}
