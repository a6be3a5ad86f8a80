"""Problems: every refusal a caller can meet, as RFC 9457 answers (CONTRACT "Problem codes").

One table of kinds, one table from outcomes of the law to kinds, one from errors of the ledger to kinds. 429 means the
caller's quota and 503 our capacity or state; both say when to come back (research/reliability.md §4).
"""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, json

from atp.domain.outcomes import HINTED, Outcome
from atp.domain.records import Reservation, Shortfall
from atp.domain.results import Result
from atp.domain.times import rfc3339
from atp.ledger.errors import (
    BasketInProgress,
    CrossPartition,
    LedgerBusy,
    LedgerError,
    LedgerRecovering,
    LedgerUnavailable,
    OutcomeUnknown,
)

MEDIA_TYPE = "application/problem+json"

#: Stable and resolvable nowhere on purpose: an identifier must not depend on where the service runs.
TYPE_PREFIX = "urn:atp:problem:"


class Kind(Struct, frozen=True):
    """One kind of problem. ``retry_after`` in seconds; 0 says that coming back changes nothing."""

    code: str
    status: int
    title: str
    retry_after: int = 0


INVALID = Kind("invalid-request", 400, "The request is not valid")
KEY_MISSING = Kind("idempotency-key-missing", 400, "The Idempotency-Key header is required")
UNAUTHENTICATED = Kind("unauthenticated", 401, "No valid credentials")
SIGNATURE_INVALID = Kind("signature-invalid", 401, "The message is not proven to be from its sender")
FORBIDDEN = Kind("forbidden", 403, "The credentials lack a scope")
CHANNEL_NOT_ALLOWED = Kind("channel-not-allowed", 403, "This channel may not be used here")
NOT_FOUND = Kind("not-found", 404, "Not found")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "The route does not know this method")
BODY_TIMEOUT = Kind("request-timeout", 408, "The body did not arrive in time")
INSUFFICIENT = Kind("insufficient-availability", 409, "Not enough units are available")
EXPIRED = Kind("reservation-expired", 409, "The hold has expired")
NOT_ACTIVE = Kind("reservation-not-active", 409, "The reservation has no units for this")
LIMIT_EXCEEDED = Kind("limit-exceeded", 409, "A limit would be exceeded")
CAMPAIGN_CLOSED = Kind("campaign-closed", 409, "The campaign is not open")
TICKET_REQUIRED = Kind("ticket-required", 409, "The campaign's waiting room lets in who has a due ticket")
IN_PROGRESS = Kind("idempotency-in-progress", 409, "The request is being decided")
ALREADY_EXISTS = Kind("already-exists", 409, "There is one of that name")
IN_USE = Kind("in-use", 409, "Something still needs the object")
NOT_REPLAYABLE = Kind("not-replayable", 409, "The dead letter cannot be sent again")
CURSOR_EXPIRED = Kind("cursor-expired", 410, "The cursor is too old")
VERSION_MISMATCH = Kind("version-mismatch", 412, "The object has another version")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind("unsupported-media-type", 415, "The body must be plain application/json")
KEY_REUSED = Kind("idempotency-key-reused", 422, "The Idempotency-Key was used with another request")
QUOTA_EXCEEDED = Kind("quota-exceeded", 429, "The client's quota is used up", 1)
INTERNAL = Kind("internal-error", 500, "Something went wrong on our side")
TICKETS_UNAVAILABLE = Kind("tickets-unavailable", 503, "No tickets can be made here", 30)
JOURNAL_UNAVAILABLE = Kind("journal-unavailable", 503, "The journal cannot be asked now", 5)
ISSUER_UNAVAILABLE = Kind("issuer-unavailable", 503, "Tokens cannot be verified now", 5)
STREAM_UNAVAILABLE = Kind("stream-unavailable", 503, "The event stream cannot be reached", 5)
OVERLOADED = Kind("overloaded", 503, "We are at capacity", 1)
DEADLINE_TOO_SHORT = Kind("deadline-too-short", 503, "The deadline is too short to begin", 1)
OUTCOME_UNKNOWN = Kind("outcome-unknown", 503, "The outcome is not known", 1)
LEDGER_UNAVAILABLE = Kind("ledger-unavailable", 503, "The ledger cannot be reached", 1)
POSITION_NOT_REACHED = Kind("position-not-reached", 503, "The ledger is not at this position", 1)
RECOVERING = Kind("recovering", 503, "The ledger is recovering", 5)

_OF_OUTCOME = {
    Outcome.KEY_REUSED: (KEY_REUSED, "This Idempotency-Key belongs to a request with another content."),
    Outcome.NOT_FOUND: (NOT_FOUND, "There is no such reservation."),
    Outcome.UNKNOWN_LOCATION: (INVALID, "The request names a location that does not exist."),
    Outcome.UNKNOWN_LINE: (INVALID, "The reservation has no such line."),
    Outcome.VERSION_MISMATCH: (VERSION_MISMATCH, "If-Match names another version than the object has."),
    Outcome.TIME_REQUIRED: (INVALID, "The location's sources are compared by time, and the event has none."),
    Outcome.EXPIRED: (EXPIRED, "The deadline passed before this call; the units are free again."),
    Outcome.NOT_ACTIVE: (NOT_ACTIVE, "The reservation does not have the units that this call would change."),
    Outcome.NO_AUTHORITY: (INVALID, "No source has told a number at this location yet: there is none to correct."),
    Outcome.RECOVERING: (RECOVERING, "Acknowledged changes were lost: nothing is sold until a person accepts that."),
    Outcome.UNKNOWN_CAMPAIGN: (INVALID, "The request names a campaign that does not exist."),
    Outcome.CUSTOMER_REQUIRED: (INVALID, "A limit per customer applies here, so the request must name its customer."),
    Outcome.CHANNEL_NOT_ALLOWED: (CHANNEL_NOT_ALLOWED, "The channel may not sell what was asked for in this way."),
    Outcome.CAMPAIGN_CLOSED: (CAMPAIGN_CLOSED, "The campaign has not begun yet, or it is over."),
    Outcome.TICKET_REQUIRED: (
        TICKET_REQUIRED,
        "The campaign has a waiting room: show a good and unused ticket.",
    ),
    Outcome.LIMIT_EXCEEDED: (LIMIT_EXCEEDED, "A limit would be exceeded."),
    Outcome.INSUFFICIENT: (INSUFFICIENT, "Nothing was changed: not all the units are free."),
}

#: Limits by the name that the law gives them in ``Result.detail``.
_LIMITS = {
    "ttl": "The hold would live longer than the longest hold allowed.",
    "held_units_per_customer": "The customer would hold more units at once than this channel allows.",
    "per_customer": "The customer would have more units of a sku than this campaign allows.",
    "generations": "A source cannot begin anew so often.",
    "protections": "A sku has protections for as many channels and campaigns as it can have.",
}

_OF_LEDGER_ERROR = (
    (LedgerBusy, OVERLOADED, "Nothing was applied. Repeat with the same Idempotency-Key."),
    (LedgerUnavailable, LEDGER_UNAVAILABLE, "Nothing was applied. Repeat with the same Idempotency-Key."),
    (LedgerRecovering, RECOVERING, "Nothing was applied. Repeat with the same Idempotency-Key."),
    (OutcomeUnknown, OUTCOME_UNKNOWN, "It may have been applied: retry with the same Idempotency-Key to find out."),
    (BasketInProgress, IN_PROGRESS, "Another call with this Idempotency-Key is being decided: repeat it in a moment."),
    (CrossPartition, INVALID, "This needs skus of one partition of the ledger; these live in several."),
)


class Fault(Struct, omit_defaults=True):
    """One thing that is wrong: where (JSON Pointer into the body, or a parameter or header), and the figures."""

    detail: Annotated[str, Meta(description="What is wrong here.")]
    pointer: Annotated[str | UnsetType, Meta(description="JSON Pointer into the request's body.")] = UNSET
    parameter: Annotated[str | UnsetType, Meta(description="Parameter of the path or the query.")] = UNSET
    header: Annotated[str | UnsetType, Meta(description="Request header.")] = UNSET
    line_id: Annotated[str | UnsetType, Meta(description="Line of the reservation, in a refused change.")] = UNSET
    sku: Annotated[str | UnsetType, Meta(description="What could not be reserved.")] = UNSET
    requested: Annotated[int | UnsetType, Meta(description="Units the line asked for.")] = UNSET
    available: Annotated[int | UnsetType, Meta(description="Units this line could have been granted.")] = UNSET
    largest_quantity: Annotated[int | UnsetType, Meta(description="Largest quantity that would be granted.")] = UNSET
    held_by_others: Annotated[int | UnsetType, Meta(description="Units held where the line could draw.")] = UNSET
    earliest_hold_expiry: Annotated[
        str | UnsetType | None,
        Meta(description="When units of the sku may come back: the earliest deadline among the oldest holds, if any."),
    ] = UNSET
    other_locations: Annotated[
        list["OtherLocation"] | UnsetType, Meta(description="Stock beyond what the line asked for.")
    ] = UNSET
    promise_date: Annotated[
        str | UnsetType, Meta(description="First day of supply for which all of the line could be promised.")
    ] = UNSET


class OtherLocation(Struct):
    """A location that has units, though the line did not ask for it."""

    location: str
    available: int


class ProblemView(Struct, omit_defaults=True, rename={"violated_policies": "violated-policies"}):
    """An RFC 9457 problem."""

    type: Annotated[str, Meta(description="Stable URI that ends in the problem's code.")]
    title: Annotated[str, Meta(description="The kind of problem, for people.")]
    status: Annotated[int, Meta(description="The HTTP status.")]
    detail: Annotated[str, Meta(description="This occurrence, for people.")]
    request_id: Annotated[str, Meta(description="The same as the header X-Request-Id; name it when asking for help.")]
    errors: Annotated[list[Fault] | UnsetType, Meta(description="What is wrong, each with its place.")] = UNSET
    reason: Annotated[
        str | UnsetType, Meta(description="Why a reservation is not active: `shortage` if its units are gone.")
    ] = UNSET
    hint: Annotated[
        bool | UnsetType,
        Meta(description="True if the figures are up to 250 ms old; the refusal is not remembered under the key."),
    ] = UNSET
    violated_policies: Annotated[
        list[str] | UnsetType, Meta(description="The client's quotas that are used up, as RateLimit-Policy names them.")
    ] = UNSET
    expected_at: Annotated[str | UnsetType, Meta(description="When the ticket will be due, as far as can be told.")] = (
        UNSET
    )


class Problem(Exception):
    """Ends a request with a problem answer. ``headers`` are added to those of the kind."""

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        errors: Sequence[Fault] = (),
        headers: dict[str, str] | None = None,
        reason: str = "",
        violated: Sequence[str] = (),
        hint: bool = False,
        expected_at: str = "",
    ) -> None:
        super().__init__(detail or kind.title)
        self.kind = kind
        self.detail = detail or f"{kind.title}."
        self.errors = list(errors)
        self.headers = headers or {}
        self.reason = reason
        self.violated = list(violated)
        self.hint = hint
        self.expected_at = expected_at

    def view(self, request_id: str) -> ProblemView:
        """What the caller reads."""
        kind = self.kind
        return ProblemView(
            TYPE_PREFIX + kind.code, kind.title, kind.status, self.detail, request_id, self.errors or UNSET,
            self.reason or UNSET, self.hint or UNSET, self.violated or UNSET,
            self.expected_at or UNSET,
        )  # fmt: skip

    def body(self, request_id: str) -> bytes:
        """The JSON text of the answer."""
        return _encode(self.view(request_id))

    def all_headers(self) -> dict[str, str]:
        """Headers of the answer, Retry-After among them where coming back makes sense."""
        if self.kind.retry_after:
            return {"retry-after": str(self.kind.retry_after), **self.headers}
        return self.headers


def invalid(detail: str, *, pointer: str | UnsetType = UNSET, **where: Any) -> Problem:
    """A 400 with one fault: ``pointer`` into the body, or ``parameter=`` or ``header=``."""
    return Problem(INVALID, detail, [Fault(detail, pointer, **where)])


def refusal(result: Result, pointer: str = "") -> Problem:
    """What a caller is told of a refused command. ``pointer`` is where the body names what the refusal speaks of."""
    kind, detail = _OF_OUTCOME[result.outcome]
    if result.outcome is Outcome.NOT_ACTIVE and result.detail == "shortage":
        return Problem(kind, "The hold was revoked: the stock it was held from is gone.", reason=result.detail)
    errors: list[Fault] = []
    if result.outcome is Outcome.INSUFFICIENT:
        errors = [_shortfall(s, result.reservation, pointer) for s in result.shortfalls]
        for error in errors if result.detail == HINTED else ():
            error.largest_quantity = UNSET  # it would have to be read for this request
    elif result.outcome is Outcome.UNKNOWN_LOCATION:
        errors = [Fault("There is no such location.", pointer or UNSET)]
    elif result.outcome is Outcome.UNKNOWN_LINE:
        errors = [Fault(f"The reservation has no line {result.detail!r}.", pointer or UNSET)]
    elif result.outcome is Outcome.VERSION_MISMATCH and result.detail:
        detail = f"The object has version {result.detail}, not the one that the request names."
    else:
        if result.outcome is Outcome.LIMIT_EXCEEDED:
            detail = _LIMITS.get(result.detail, detail)
        errors = [Fault(detail, pointer)] if pointer else []
    replayed = {"idempotency-replayed": "true"} if result.replayed else None
    return Problem(kind, detail, errors, replayed, hint=result.detail == HINTED)


def ledger_problem(error: LedgerError) -> Problem:
    """What a caller is told when the ledger could not do its part; the error's own words stay in the log."""
    for cls, kind, detail in _OF_LEDGER_ERROR:
        if isinstance(error, cls):
            return Problem(kind, detail)
    return Problem(LEDGER_UNAVAILABLE, "The ledger is not usable now.")


def _shortfall(s: Shortfall, changed: Reservation | None, pointer: str) -> Fault:
    """The figures of one line: of the request, or of the reservation that was to be ``changed``."""
    return Fault(
        f"{s.requested} requested, {s.available} available.",
        pointer=pointer or f"/lines/{s.line}",
        line_id=changed.lines[s.line].line_id if changed else UNSET,
        sku=s.sku,
        requested=s.requested,
        available=s.available,
        largest_quantity=min(s.available, s.requested),
        held_by_others=s.held_by_others,
        earliest_hold_expiry=rfc3339(s.earliest_expiry) if s.earliest_expiry else None,
        other_locations=[OtherLocation(at, free) for at, free in s.other_locations],
        promise_date=s.promise_date or UNSET,
    )


_encode = json.Encoder().encode
