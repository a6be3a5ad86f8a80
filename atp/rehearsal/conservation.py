"""Conservation: what the rehearsal's ledger says afterwards, against what it said before and what buyers were told."""

from collections import Counter
from collections.abc import Iterator

from atp.domain.ids import identity_of
from atp.domain.records import Balance, Reservation
from atp.domain.rules.batch import Batch
from atp.domain.sellers import seller_name
from atp.domain.state import State
from atp.proofs import Check, finding
from atp.rehearsal.books import Books

At = tuple[str, str]  # sku, location


def compare(old: dict[At, Balance], after: list[State], campaign: str, books: Books) -> list[Check]:
    """Every check: positions as they were before the sale, and each partition's state after it."""
    new = balances(after)
    return [
        _units(old, new, books, records(after)),
        _oversold(old, new),
        _set_aside(after, campaign),
        _known(after, books),
        _stranded(after, books),
    ]


def records(states: list[State]) -> dict[str, Reservation]:
    """Live reservations by identity."""
    return {identity: record for state in states for identity, record in state.reservations.items()}


def balances(states: list[State]) -> dict[At, Balance]:
    """Every position by its authority's number, as the law reads it: nobody feeds a rehearsal, so that stays."""
    found: dict[At, Balance] = {}
    for state in states:
        law = Batch(state, state.last_now)
        for sku, item in state.skus.items():
            found |= {(sku, at): law.balance_by(sku, at, law.authority(at)) for at in item.positions}
    return found


def _given(balance: Balance | None) -> int:
    """What is there to be sold, and what was: free, held and committed together."""
    return balance.free + balance.held + balance.committed if balance else 0


def _units(old: dict[At, Balance], new: dict[At, Balance], books: Books, found: dict[str, Reservation]) -> Check:
    """Stock given = sold + held + free, by position, and the buyers know of all that was sold here."""
    confirmed, held = books.units("committed"), Counter[At]()
    for record in found.values():
        for line in record.lines:
            for a in line.allocations:
                held[line.sku, a.location] += 0 if a.supply else a.held

    def wrong() -> Iterator[str]:
        for at in old.keys() | new.keys():
            was, now = old.get(at), new.get(at)
            told = (_given(now), now.committed if now else 0, now.held if now else 0)
            expected = (_given(was), (was.committed if was else 0) + confirmed[at], held[at])
            if told != expected:
                yield f"{at[0]} at {at[1]}: (units, committed, held) is {told}, should be {expected}"

    free = sum(max(0, balance.free) for balance in new.values())
    detail = f"{len(new):,} positions: {confirmed.total():,} units sold here, {held.total():,} held, {free:,} free"
    return finding("units", detail, wrong())


def _oversold(old: dict[At, Balance], new: dict[At, Balance]) -> Check:
    """No position promises more than it has, or not more than it already did."""
    least = {at: min(0, old[at].free) if at in old else 0 for at in new}
    over = {at: least[at] - balance.free for at, balance in new.items() if balance.free < least[at]}
    detail = f"{sum(over.values()):,} units over {len(new):,} positions"
    return finding("oversold", detail, (f"{sku} at {at}: {n} too many" for (sku, at), n in over.items()))


def _set_aside(after: list[State], campaign: str) -> Check:
    """The campaign sold no more than was set aside for it."""
    shares = shares_of(after, campaign)
    over = (f"{sku}: {used} of {cap} set aside" for sku, (used, cap) in shares.items() if used > cap)
    used, cap = sum(used for used, _ in shares.values()), sum(cap for _, cap in shares.values())
    return finding("set aside", f"{used:,} of {cap:,} units taken over {len(shares):,} skus", over)


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
    return finding("known", f"{len(books.sales):,} acknowledged reservations", wrong)


def _stranded(after: list[State], books: Books) -> Check:
    """Nothing of this sale is held for nobody."""
    held = open_holds(after, books)
    return finding("stranded", f"{len(held)} holds left", (f"{id} is still held" for id in held))


def open_holds(states: list[State], books: Books) -> list[str]:
    """Ids of this sale's reservations that still hold units."""
    found = records(states)
    return [id for id in books.sales if (r := found.get(identity_of(id))) is not None and r.state == "held"]
