"""Replay of incoming supply: what is expected on which day, and what of it arrived (R10)."""

from atp.domain.entries import SupplyExpected, SupplyReceived
from atp.domain.replay.balances import position_of, take
from atp.domain.replay.stock import change_number
from atp.domain.rules.supply import announce, expect
from atp.domain.state import RECEIPTS_MAX, Announcement, State, Supply


def _expected(state: State, entry: SupplyExpected) -> None:
    supply, days = _supply(state, entry), position_of(state, entry.sku, entry.location).supply
    expect(days, supply, -1)
    told = Announcement(
        entry.source, (*entry.version, entry.position), entry.day, entry.starts_at, entry.quantity, entry.as_of
    )
    announce(supply, told, entry.counts or entry.source)
    expect(days, supply, 1)
    supply.told = supply.told and supply.overdue(entry.at)
    take(state, entry.seq, entry.balances)


def _received(state: State, entry: SupplyReceived) -> None:
    change_number(state, entry)
    supply, days = _supply(state, entry), position_of(state, entry.sku, entry.location).supply
    expect(days, supply, -1)
    supply.received += entry.quantity
    supply.receipts = [*supply.receipts, entry.event][-RECEIPTS_MAX:]
    expect(days, supply, 1)
    supply.told = supply.told and supply.overdue(entry.at)
    take(state, entry.seq, entry.balances)


def _supply(state: State, entry: SupplyExpected | SupplyReceived) -> Supply:
    return state.supplies.setdefault((entry.sku, entry.location, entry.supply_id), Supply())


EFFECTS = {SupplyExpected: _expected, SupplyReceived: _received}
