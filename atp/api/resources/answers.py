"""Answers: what became of a reservation command, and of whatever was raised on the way, as callers see it."""

import time

import structlog
from msgspec import Struct, json

from atp.api.call import Answer
from atp.api.problems import INTERNAL, Problem, ledger_problem, refusal
from atp.api.resources.change_bodies import (
    AcknowledgeBody,
    ChangeBody,
    ConfirmBody,
    FulfilBody,
    ReleaseBody,
    TransferBody,
)
from atp.api.resources.requests import ReserveBody
from atp.api.service import Service, now_ms
from atp.domain.ids import reservation_partition
from atp.domain.outcomes import Outcome
from atp.domain.records import Reservation
from atp.domain.results import Result
from atp.domain.views import QuoteView, ReservationView, quote_view, reservation_view
from atp.ledger import LedgerError
from atp.telemetry import RESERVATIONS

log = structlog.get_logger("atp.api")

_REPLAYED = {"idempotency-replayed": "true"}

_encode = json.Encoder().encode

_NAMES = {outcome: outcome.name.lower() for outcome in Outcome}

#: Where the body of a transfer names what a refusal speaks of.
_TRANSFER = {
    Outcome.UNKNOWN_LOCATION: "/to",
    Outcome.UNKNOWN_LINE: "/line_id",
    Outcome.NOT_ACTIVE: "/quantity",
    Outcome.INSUFFICIENT: "/quantity",
}


class Decided(Struct, frozen=True):
    """An accepted command: the status it is answered with, and the reservation as it is now."""

    status: int
    view: ReservationView | QuoteView
    replayed: bool = False

    def answer(self) -> Answer:
        return Answer(self.status, _encode(self.view), _REPLAYED if self.replayed else {})


def decided(service: Service, action: str, result: Result, body: ReserveBody | ChangeBody) -> Decided:
    """What an accepted command answers. Raises Problem for a refused one, pointing into the ``body`` it came from."""
    RESERVATIONS.inc(action, _NAMES[result.outcome])
    if not result.outcome.accepted:
        raise refusal(result, _place(result, body))
    assert result.reservation is not None, "an accepted command answers with its reservation"
    if result.outcome is Outcome.QUOTED:
        return Decided(200, quote_view(result.reservation, now_ms()))
    status = 201 if isinstance(body, ReserveBody) else 200
    return Decided(status, view_of(service, result.reservation), result.replayed)


def view_of(service: Service, found: Reservation) -> ReservationView:
    """A stored reservation as callers see it now."""
    partition = reservation_partition(found.id, service.ledger.partitions)
    assert partition is not None, "ids of stored reservations are well-formed"
    return reservation_view(found, partition, now_ms())


def problem_of(error: Exception, request_id: str) -> Problem:
    """What a caller is told of whatever was raised; the error itself stays in the log."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, LedgerError):
        _tell(type(error).__name__, request_id)
        return ledger_problem(error)
    log.error("a request failed", exc_info=error, request_id=request_id)
    return Problem(INTERNAL)


#: When each error of the ledger was logged last: an absence fails thousands of requests a second (the metric counts).
_told: dict[str, float] = {}


def _tell(error: str, request_id: str) -> None:
    now = time.monotonic()
    if now - _told.get(error, 0.0) >= 1:
        _told[error] = now
        log.warning("the ledger failed a request", error=error, request_id=request_id, repeated="told once a second")


#: What a refused limit is about in the body of a reserve.
_LIMITS = {"ttl": "/ttl_seconds", "held_units_per_customer": "/lines", "per_customer": "/lines"}


def _place_in_reserve(result: Result, body: ReserveBody) -> str:
    """The same for a basket."""
    if result.detail in ("replaces", "campaign"):
        return "/" + result.detail
    match result.outcome:
        case Outcome.UNKNOWN_LOCATION | Outcome.CHANNEL_NOT_ALLOWED:
            named = "location" if body.lines[int(result.detail)].location is not None else "location_group"
            return f"/lines/{result.detail}/{named}"
        case Outcome.UNKNOWN_CAMPAIGN | Outcome.CAMPAIGN_CLOSED | Outcome.TICKET_REQUIRED:
            return "/campaign"
        case Outcome.CUSTOMER_REQUIRED:
            return "/customer"
        case Outcome.LIMIT_EXCEEDED:
            return _LIMITS.get(result.detail, "")
        case _:
            return ""


def _place(result: Result, body: ReserveBody | ChangeBody) -> str:
    """Pointer to what a refusal speaks of, or "" where it speaks of the whole."""
    match body:
        case ReserveBody():
            return _place_in_reserve(result, body)
        case TransferBody():
            return _TRANSFER.get(result.outcome, "")
        case ConfirmBody(reacquire=True):
            return "/reacquire" if result.outcome in (Outcome.INSUFFICIENT, Outcome.LIMIT_EXCEEDED) else ""
        case ConfirmBody() | ReleaseBody() | FulfilBody() | AcknowledgeBody():
            named = "line_id" if result.outcome is Outcome.UNKNOWN_LINE else "quantity"
            lines = enumerate(body.lines or ())
            return next((f"/lines/{i}/{named}" for i, line in lines if line.line_id == result.detail), "")
        case _:
            return ""
