"""C1 and C2: units are neither made nor lost, none is promised twice, and what is held is what live holds hold."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from atp.domain.entries import AnyEntry, Expired
from atp.domain.records import GRACE_MS, Balance, Reservation

from .violation import Violation

Place = tuple[str, str]  # sku, location

#: How much earlier than its deadline a hold may end: the ledger's clock counts whole milliseconds.
_EARLY_MS = 1


def check_balances(entries: Iterable[AnyEntry]) -> Iterator[Violation]:
    """No entry leaves a position with more promised than is there, or with less than nothing."""
    for entry in entries:
        for balance in getattr(entry, "balances", ()):
            place = f"{balance.sku} at {balance.location} after entry {entry.seq}"
            if balance.free < 0:
                yield Violation("C1", "oversold", f"{place}: {-balance.free} units more are promised than are there")
            if min(balance.held, balance.committed, balance.shipped_uncounted) < 0:
                yield Violation("C2", "wrong", f"{place}: {balance}")


def check_totals(
    entries: Sequence[AnyEntry], counts: Mapping[Place, int], shown: Mapping[Place, tuple[int, int, int]]
) -> Iterator[Violation]:
    """At the end: per position what sources counted, reservations keep, and availability shows, agree.

    ``counts`` are the feeders' numbers, ``shown`` (ats, held, committed) by the API.
    """
    last: dict[Place, Balance] = {}
    for entry in entries:
        last.update({(balance.sku, balance.location): balance for balance in getattr(entry, "balances", ())})
    units = _units(records_of(entries).values())
    for place, count in counts.items():
        held, committed, fulfilled = (units[state, *place] for state in ("held", "committed", "fulfilled"))
        balance = last.get(place)
        if balance is None or (balance.held, balance.committed) != (held, committed):
            yield Violation("C2", "wrong", f"{place}: live holds are {held}, {committed}; the balance is {balance}")
        elif balance.number - balance.shipped_uncounted != count - fulfilled:
            yield Violation("C1", "wrong", f"{place}: {count} counted, {fulfilled} shipped; the balance is {balance}")
        free = count - fulfilled - held - committed
        if shown.get(place) != (max(0, free), held, committed):
            yield Violation("C1", "wrong", f"{place}: shown {shown.get(place)}, should be {(free, held, committed)}")
        if free < 0:
            yield Violation("C1", "oversold", f"{place}: {-free} units more are sold than were ever there")


def check_holds(entries: Sequence[AnyEntry], unknown: Collection[str]) -> Iterator[Violation]:
    """Every hold ended, none before its time; ``unknown`` are reservations whose buyers never learned of them."""
    for id, record in records_of(entries).items():
        if record.state == "held" and id not in unknown:
            yield Violation("C2", "stranded", f"{id} is held for nobody: {record}")
    for entry in entries:
        if isinstance(entry, Expired) and entry.at + _EARLY_MS < entry.reservation.expires_at + GRACE_MS:
            yield Violation("C2", "wrong", f"{entry.reservation.id} expired before its time, in entry {entry.seq}")


def records_of(entries: Iterable[AnyEntry]) -> dict[str, Reservation]:
    """Each reservation as its last entry left it."""
    records: dict[str, Reservation] = {}
    for entry in entries:
        if isinstance(record := getattr(entry, "reservation", None), Reservation):
            records[record.id] = record
    return records


def _units(records: Iterable[Reservation]) -> Counter[tuple[str, str, str]]:
    """(state, sku, location) → units."""
    found: Counter[tuple[str, str, str]] = Counter()
    for record in records:
        for line in record.lines:
            for a in line.allocations:
                for state, units in (("held", a.held), ("committed", a.committed), ("fulfilled", a.fulfilled)):
                    found[state, line.sku, a.location] += units
    return found
