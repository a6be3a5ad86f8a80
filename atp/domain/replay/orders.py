"""Replay of what sources say of orders; their reservations and their stock have entries of their own (R9)."""

from atp.domain.order_entries import OrderGivenUp, OrderTold, WaitingServed
from atp.domain.rules.naming import remember_event, reschedule
from atp.domain.state import Order, State


def _told(state: State, entry: OrderTold) -> None:
    name = entry.order or entry.reservation
    if entry.waits:
        order = state.orders.setdefault(name, Order())
        order.waiting = [*order.waiting, *entry.waits]
        reschedule(state, name)
    remember_event(state, name, entry.event)


def _served(state: State, entry: WaitingServed) -> None:
    state.orders[entry.order].waiting = list(entry.waiting)
    reschedule(state, entry.order)


def _given_up(state: State, entry: OrderGivenUp) -> None:
    """The oldest of the event, if it waits twice."""
    order = state.orders[entry.order]
    gone = next(i for i, (until, c) in enumerate(order.waiting) if c.event == entry.event and until <= entry.at)
    order.waiting = order.waiting[:gone] + order.waiting[gone + 1 :]
    reschedule(state, entry.order)


EFFECTS = {OrderTold: _told, WaitingServed: _served, OrderGivenUp: _given_up}
