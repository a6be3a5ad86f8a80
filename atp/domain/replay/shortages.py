"""Replay of shortages and of what people are told (R28, R36)."""

from atp.domain.entries import ExceptionRaised, ExceptionResolved, ShortageAffected, ShortageClosed, ShortageFound
from atp.domain.exceptions import Kind, subject
from atp.domain.replay.balances import number_of, position_of
from atp.domain.state import Shortage, State


def _found(state: State, entry: ShortageFound) -> None:
    state.shortages[entry.sku, entry.location] = Shortage(entry.seq, entry.short_by, entry.policy, entry.victims)


def _affected(state: State, entry: ShortageAffected) -> None:
    open = state.shortages[entry.sku, entry.location]
    open.found += sum(victim.held + victim.committed for victim in entry.victims)
    open.cursor, open.done = entry.through, entry.last


def _closed(state: State, entry: ShortageClosed) -> None:
    del state.shortages[entry.sku, entry.location]


def _raised(state: State, entry: ExceptionRaised) -> None:
    """A delta that came too late to be told from a repeat leaves its number on the low side (R15); a delivery that is
    overdue is told of once (R10)."""
    state.exceptions[subject(entry.kind, entry.sku, entry.location, entry.source, entry.reservation)] = entry.seq
    if entry.kind == Kind.LATE_DELTA:
        number_of(position_of(state, entry.sku, entry.location), entry.source).uncertain = True
    elif entry.kind == Kind.SUPPLY_OVERDUE and (
        supply := state.supplies.get((entry.sku, entry.location, entry.reservation))
    ):
        supply.told = True


def _resolved(state: State, entry: ExceptionResolved) -> None:
    """The entry names what raised it; of a shortage that is not among the exceptions, and the law ends it."""
    for key, seq in state.exceptions.items():
        if seq == entry.raised:
            del state.exceptions[key]
            return


EFFECTS = {
    ShortageFound: _found,
    ShortageAffected: _affected,
    ShortageClosed: _closed,
    ExceptionRaised: _raised,
    ExceptionResolved: _resolved,
}
