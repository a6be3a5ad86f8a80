"""Replay of stock events: numbers of sources, what they are net of, and the memory that later events are held against.

A level is the hot one: its memory of deltas, its pending inclusion, its shipments are empty almost always.
"""

from atp.domain.entries import Adjusted, AuthorityTaken, CursorMoved, DeltaApplied, LevelSet, StatusSet, SupplyReceived
from atp.domain.entry import counted_source
from atp.domain.order_entries import ReturnTaken, ShipmentNoted, UnitsSetAside
from atp.domain.records import Version
from atp.domain.replay.balances import authority_of, location_policy, number_of, position_of, take
from atp.domain.rules.asides import level_knows, note, status_knows
from atp.domain.rules.inclusion import include
from atp.domain.rules.memory import by_time, change
from atp.domain.rules.shipping import ship
from atp.domain.rules.stock import count_shipped, is_above
from atp.domain.rules.touching import mark_touched
from atp.domain.source_entries import AuthorityReturned, Touched
from atp.domain.state import SourceNumber, State

#: Entries whose number changed by their quantity.
Changing = DeltaApplied | SupplyReceived | ReturnTaken | Adjusted


def _level(state: State, entry: LevelSet) -> None:
    position = position_of(state, entry.sku, entry.location)
    known, version, as_of = number_of(position, entry.source), entry.version, entry.as_of
    if known.recent:
        true_at = as_of or entry.at
        known.recent = {event: told for event, told in known.recent.items() if is_above(*told, version, true_at)}
    known.uncertain = entry.uncertain
    if not entry.uncertain:
        known.forgotten_at = 0
    policy = location_policy(state, entry.location)
    known.level_at = as_of if policy is not None and policy.listed("adjuster") else 0
    known.number, known.has_level, known.version, known.tie = entry.number, True, version, entry.position
    known.as_of = max(known.as_of, as_of)
    if known.touched[1:] <= version:
        known.touched = ()
    if known.pending:
        include(known)
    if (position.shipped or position.aside) and entry.source == authority_of(state, entry.location):
        count_shipped(position, as_of)
        level_knows(position, entry.source, version, as_of)
    take(state, entry.seq, entry.balances)


def _delta(state: State, entry: DeltaApplied) -> None:
    known = _known(state, entry)
    _change(known, entry)
    known.number = entry.number
    take(state, entry.seq, entry.balances)


def _came_back(state: State, entry: ReturnTaken) -> None:
    known = change_number(state, entry)
    if entry.unsellable != known.unsellable:
        position, of = position_of(state, entry.sku, entry.location), counted_source(entry)
        note(entry.at, position, of, "unfit", entry.quantity, _version_in(entry), entry.event)
        known.unsellable = entry.unsellable
    take(state, entry.seq, entry.balances)


def _adjusted(state: State, entry: Adjusted) -> None:
    change_number(state, entry)
    state.adjusted.pop(entry.event, None)  # the same again, after it was forgotten, is the newest
    state.adjusted[entry.event] = entry.body, entry.seq, entry.at
    take(state, entry.seq, entry.balances)


def _status(state: State, entry: StatusSet) -> None:
    position = position_of(state, entry.sku, entry.location)
    known = number_of(position, entry.source)
    status_knows(position, entry.source, entry.version)
    known.unsellable, known.status = entry.unsellable, (*entry.version, entry.position)
    take(state, entry.seq, entry.balances)


def _touched(state: State, entry: Touched) -> None:
    for location in entry.waiting:
        mark_touched(number_of(position_of(state, entry.sku, location), entry.source), entry.version, entry.at)
    if entry.waiting:
        state.skus[entry.sku].seq = entry.seq


def _shipment(state: State, entry: ShipmentNoted) -> None:
    ship(position_of(state, entry.sku, entry.location), entry.minute, entry.units)
    take(state, entry.seq, entry.balances)


def _set_aside(state: State, entry: UnitsSetAside) -> None:
    position = position_of(state, entry.sku, entry.location)
    note(entry.minute, position, entry.source, "short", entry.units, entry.version, entry.event)
    take(state, entry.seq, entry.balances)


def _taken(state: State, entry: AuthorityTaken) -> None:
    state.authorities[entry.location] = entry.source


def _returned(state: State, entry: AuthorityReturned) -> None:
    known = number_of(position_of(state, entry.sku, entry.location), entry.source)
    known.returned = state.locations[entry.location].since


def _cursor(state: State, entry: CursorMoved) -> None:
    state.cursors[entry.stream] = entry.position


def change_number(state: State, entry: Changing) -> SourceNumber:
    """Change the number that the entry is about, as by a delta, unless it is what the entry says already."""
    known = _known(state, entry)
    if entry.number != known.number:
        _change(known, entry)
    return known


def _known(state: State, entry: Changing) -> SourceNumber:
    return number_of(position_of(state, entry.sku, entry.location), counted_source(entry))


def _change(known: SourceNumber, entry: Changing) -> None:
    change(known, entry.event, _version_in(entry), entry.quantity)
    known.as_of = max(known.as_of, entry.as_of)


def _version_in(entry: Changing) -> Version:
    """The version by which the change is remembered, as in ``rules.stock``."""
    return entry.version if counted_source(entry) == entry.source else by_time(entry.as_of)


EFFECTS = {
    LevelSet: _level,
    DeltaApplied: _delta,
    ReturnTaken: _came_back,
    Adjusted: _adjusted,
    StatusSet: _status,
    Touched: _touched,
    ShipmentNoted: _shipment,
    UnitsSetAside: _set_aside,
    AuthorityTaken: _taken,
    AuthorityReturned: _returned,
    CursorMoved: _cursor,
}
