"""Conservation: what the rehearsal's ledger says afterwards, against what it said before and what buyers were told."""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from atp.domain.ids import identity_of
from atp.domain.records import Reservation
from atp.domain.sellers import seller_name
from atp.domain.state import Position, State
from atp.rehearsal.books import Books

_NAMED = 5
At = tuple[str, str]  # sku, location


class Check(Struct):
    """One finding; ``offenders`` are the first ones, and empty when ``ok``."""

    name: str
    ok: bool
    detail: str
    offenders: list[str] = field(default_factory=list)


def compare(before: list[State], after: list[State], campaign: str, books: Books) -> list[Check]:
    """Every check. A partition's state each."""
    return [
        _units(positions(before), positions(after), books, after),
        _oversold(positions(before), positions(after)),
        _set_aside(after, campaign),
        _known(after, books),
        _stranded(after, books),
    ]


def positions(states: list[State]) -> dict[At, Position]:
    """All of them."""
    return {(sku, at): p for state in states for sku, item in state.skus.items() for at, p in item.positions.items()}


def records(states: list[State]) -> dict[str, Reservation]:
    """Live reservations by identity."""
    return {identity: record for state in states for identity, record in state.reservations.items()}


def number(position: Position) -> int:
    """Units that the location's sources count less those that cannot be sold: the lowest, where several count."""
    return min((source.number - source.unsellable for source in position.sources.values()), default=0)


def _units(before: dict[At, Position], after: dict[At, Position], books: Books, states: list[State]) -> Check:
    """Stock given = sold + held + free, by position: numbers as before, commitments more by what was confirmed."""
    confirmed = books.units("committed")
    held: Counter[At] = Counter()
    for record in records(states).values():
        for line in record.lines:
            for a in line.allocations:
                if not a.supply:
                    held[line.sku, a.location] += a.held

    def wrong() -> Iterator[str]:
        for at in before.keys() | after.keys():
            old, new = before.get(at, Position()), after.get(at, Position())
            given, told = number(old), (number(new), new.committed, new.held)
            if told != (expected := (given, old.committed + confirmed[at], held[at])):
                yield f"{at[0]} at {at[1]}: (number, committed, held) is {told}, should be {expected}"

    sold, free = confirmed.total(), sum(max(0, number(p) - p.committed - p.held) for p in after.values())
    detail = f"{len(after):,} positions: {sold:,} units sold here, {sum(held.values()):,} held, {free:,} left"
    return _finding("units", detail, wrong())


def _oversold(before: dict[At, Position], after: dict[At, Position]) -> Check:
    """No position promises more than it has, but for those that already did."""
    over = {at: p.held + p.committed - number(p) for at, p in after.items() if p.held + p.committed > number(p)}
    old = {at: p.held + p.committed - number(p) for at, p in before.items()}
    new = {at: units for at, units in over.items() if units > max(0, old.get(at, 0))}
    detail = f"{sum(new.values()):,} units over {len(after):,} positions"
    return _finding("oversold", detail, (f"{sku} at {at}: {n} too many" for (sku, at), n in new.items()))


def _set_aside(after: list[State], campaign: str) -> Check:
    """The campaign sold no more than was set aside for it."""
    shares = shares_of(after, campaign)
    over = (f"{sku}: {used} of {cap} set aside" for sku, (used, cap) in shares.items() if used > cap)
    used, cap = sum(used for used, _ in shares.values()), sum(cap for _, cap in shares.values())
    return _finding("set aside", f"{used:,} of {cap:,} units taken over {len(shares):,} skus", over)


def shares_of(states: list[State], campaign: str) -> dict[str, tuple[int, int]]:
    """sku → (units that count to the campaign, units set aside)."""
    name = seller_name("", campaign)
    return {
        sku: (item.sellers[name].used, item.sellers[name].cap)
        for state in states
        for sku, item in state.skus.items()
        if name in item.sellers
    }


def _known(after: list[State], books: Books) -> Check:
    """Every acknowledged reservation is there, as its buyer knows it."""
    found = records(after)
    wrong = [f"{n} commands without an answer" for n in [books.unsettled] if n]
    for id, sale in books.sales.items():
        record = found.get(identity_of(id))
        state = record.state if record else "missing"
        if state != sale.end:
            wrong.append(f"{id} is {state}, should be {sale.end}")
    return _finding("known", f"{len(books.sales):,} acknowledged reservations", wrong)


def _stranded(after: list[State], books: Books) -> Check:
    """Nothing of this sale is held for nobody."""
    held = open_holds(after, books)
    return _finding("stranded", f"{len(held)} holds left", (f"{id} is still held" for id in held))


def open_holds(states: list[State], books: Books) -> list[str]:
    """Ids of this sale's reservations that still hold units."""
    found = records(states)
    return [id for id in books.sales if (r := found.get(identity_of(id))) is not None and r.state == "held"]


def _finding(name: str, detail: str, offenders: Iterable[str]) -> Check:
    found = list(offenders)
    return Check(name, not found, detail, found[:_NAMED])
