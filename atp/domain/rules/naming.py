"""Naming: which reservations an order_ref names here, and which events wait for one (R9, R39).

A reservation is found by its order_ref from the call that gives it one until only a tombstone of it is left. Events
that come before wait a while, because a shipment may be told before the order is confirmed.
"""

from msgspec import structs

from atp.domain.entries import OrderGivenUp
from atp.domain.ids import identity_of
from atp.domain.order_commands import OrderLine, TellOrder
from atp.domain.records import Reservation
from atp.domain.rules.batch import Batch
from atp.domain.rules.clock import find_record
from atp.domain.rules.exceptions import raise_exception
from atp.domain.state import AWAIT_MS, AWAITED_MAX, ORDER_EVENTS_MAX, ORDER_IDS_MAX, Order, State

#: Orders given up by one batch at most, so that its time stays bounded.
GIVEN_UP_MAX = 256


def name(state: State, r: Reservation) -> None:
    """Find the reservation by its order_ref from now on."""
    if not r.order_ref:
        return
    order = state.orders.setdefault(r.order_ref, Order())
    if r.id not in order.ids and len(order.ids) < ORDER_IDS_MAX:
        order.ids = [*order.ids, r.id]


def unname(state: State, id: str, order_ref: str) -> None:
    """The reservation is not found by this order_ref any more."""
    order = state.orders.get(order_ref)
    if order is not None:
        order.ids = [other for other in order.ids if other != id]
        _tidy(state, order_ref)


def named(batch: Batch, order_ref: str) -> list[Reservation]:
    """The reservations of an order, oldest first."""
    order = batch.state.orders.get(order_ref)
    found = [find_record(batch, identity_of(id)) for id in order.ids] if order else []
    return [r for r in found if r is not None]


def remember_event(state: State, order_ref: str, event: int) -> None:
    """An event about a known order counts once."""
    order = state.orders.get(order_ref)
    if order is not None:
        order.events = [*order.events, event][-ORDER_EVENTS_MAX:]


def may_wait(batch: Batch, order_ref: str) -> bool:
    """Whether there is room for one more event that waits."""
    state = batch.state
    order = state.orders.get(order_ref)
    if order is not None and order.waiting:
        return len(order.waiting) < ORDER_EVENTS_MAX
    return len(state.awaited) < AWAITED_MAX


def wait(batch: Batch, c: TellOrder, left: list[OrderLine]) -> tuple[int, TellOrder]:
    """Keep what is left of an event for a reservation to come; returns until when, and what."""
    order, until = batch.state.orders.setdefault(c.name, Order()), batch.now + AWAIT_MS
    waits = until, structs.replace(c, lines=left)
    order.waiting = [*order.waiting, waits]
    reschedule(batch.state, c.name)
    return waits


def reschedule(state: State, order_ref: str) -> None:
    """Keep true when the first of the order's waiting events is given up."""
    order = state.orders[order_ref]
    if order.waiting:
        state.awaited[order_ref] = min(until for until, _ in order.waiting)
    else:
        state.awaited.pop(order_ref, None)
        _tidy(state, order_ref)


def give_up(batch: Batch) -> None:
    """Tell people of events whose order never came, oldest first and bounded."""
    state = batch.state
    if batch.apart:
        return
    due = sorted((until, ref.encode(), ref) for ref, until in state.awaited.items() if until <= batch.now)
    for _, _, order_ref in due[:GIVEN_UP_MAX]:
        order = state.orders[order_ref]
        for until, c in order.waiting:
            if until <= batch.now:
                if c.part != "stock":
                    orphan(batch, c, c.lines)
                batch.entries.append(OrderGivenUp(batch.next_seq(), batch.now, "", c.cause, order_ref, c.event))
        order.waiting = [(until, c) for until, c in order.waiting if until > batch.now]
        reschedule(state, order_ref)


def orphan(batch: Batch, c: TellOrder, left: list[OrderLine]) -> None:
    """A person has to find out what these units belong to."""
    kind = "orphan-shipment" if c.what == "fulfilled" else "orphan-order"
    if not left:
        raise_exception(batch, kind, c.cause, "", "", c.source, c.name, f"all of it {c.what}")
    for line in left:
        detail = f"{line.quantity} units {c.what}"
        raise_exception(batch, kind, c.cause, line.sku, line.location, c.source, c.name, detail)


def _tidy(state: State, order_ref: str) -> None:
    order = state.orders[order_ref]
    if not order.ids and not order.waiting:
        del state.orders[order_ref]
