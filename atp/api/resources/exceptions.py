"""Exceptions over HTTP: what a person should look at, and that somebody did."""

from typing import Annotated, Any

from msgspec import Meta, Struct, json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import JOURNAL_UNAVAILABLE, NOT_FOUND, Problem, invalid
from atp.api.resources.remedies import ReleaseAction, TransferAction, apply_remedies
from atp.api.resources.requests import check_identifier, check_text
from atp.api.service import Service
from atp.domain.commands import Resolve
from atp.domain.exceptions import Kind
from atp.domain.guidance import GUIDES
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.snapshots import SnapshotDecide
from atp.domain.times import rfc3339
from atp.journal import ExceptionRow, Journal, JournalError

_PAGE = 100
_REASON_MAX = 256
_DONE = {TransferAction: "transferred", ReleaseAction: "released"}
_STATES = {"open": True, "resolved": False, "all": None}

_encode = json.Encoder().encode


Resolution = Annotated[
    str, Meta(min_length=1, max_length=64, description="By default `accepted`, or what the actions do.")
]


class ResolveBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How it ended, and why; and what to do about it before."""

    reason: Annotated[str, Meta(min_length=1, max_length=_REASON_MAX, description="Kept with who says so.")]
    resolution: Resolution | None = None
    actions: Annotated[
        list[TransferAction | ReleaseAction],
        Meta(max_length=100, description="Done in order, each once; one that is refused leaves the exception open."),
    ] = []

    @property
    def word(self) -> str:
        """How it ended, in one word."""
        done = {_DONE[type(action)]: None for action in self.actions}
        return self.resolution or ", ".join(done) or "accepted"


class ExceptionView(Struct, omit_defaults=True):
    """One exception."""

    id: str
    kind: str
    raised_at: str
    position: str = ""  # of the entry that raised it
    sku: str = ""
    location: str = ""
    source: str = ""
    reservation: str = ""
    detail: dict[str, Any] = {}
    resolved_at: str = ""
    resolution: str = ""
    resolved_by: str = ""
    reason: str = ""
    meaning: Annotated[str, Meta(description="What happened, in plain words; of a single exception.")] = ""
    remedies: Annotated[list[str], Meta(description="What a person can do.")] = []
    actions: Annotated[list[str], Meta(description="What `resolve` can do in the same call.")] = []
    reservations: Annotated[
        list[str], Meta(description="Of an open shortage: reservations with units there, newest first, at most 100.")
    ] = []


class ExceptionList(Struct, omit_defaults=True):
    """A page, newest first; `next_page_token` is there while there are more."""

    exceptions: list[ExceptionView]
    next_page_token: str = ""


_resolve_body = Body(ResolveBody)


async def list_exceptions(service: Service, call: Call) -> Answer:
    """What a person should look at, newest first: by default what is open."""
    query = call.query("kind", "state", "page_token")
    kind, state = query.get("kind", ""), query.get("state", "open")
    if kind and kind not in set(Kind):
        raise invalid(f"kind must be one of: {', '.join(Kind)}.", parameter="kind")
    if state not in _STATES:
        raise invalid("state must be open, resolved or all.", parameter="state")
    before = _number(query.get("page_token", "0"), "page_token")
    try:
        rows = await _journal(service).exceptions(kind, open=_STATES[state], before=before, limit=_PAGE + 1)
    except JournalError:
        raise _away() from None
    token = str(rows[_PAGE - 1].id) if len(rows) > _PAGE else ""
    return Answer(200, _encode(ExceptionList([_view(row) for row in rows[:_PAGE]], token)))


async def get_exception(service: Service, call: Call) -> Answer:
    """One exception, open or not, with what it means and what can be done."""
    row = await _found(service, call)
    view = _whole_view(row)
    if row.kind == Kind.SHORTAGE and row.seq is not None and row.resolved_at is None:
        try:
            promised = await _journal(service).promised(
                row.partition, row.sku, row.location, row.seq, 0, newest=True, limit=_PAGE
            )
        except JournalError:
            raise _away() from None
        view.reservations = [id for id, _ in promised]
    return Answer(200, _encode(view))


async def resolve(service: Service, call: Call) -> Answer:
    """Say that somebody dealt with it, how and why, and do it: move or release units of reservations (`actions`).

    One that is over already is answered as it ended. Repeating the call does nothing twice.
    """
    body = _resolve_body.decode(await call.body())
    check_text(body.reason, "/reason", _REASON_MAX)
    check_identifier(body.resolution, "/resolution")
    row, client = await _found(service, call), call.principal.client
    if row.resolved_at is not None:
        return Answer(200, _encode(_whole_view(row)))
    await apply_remedies(service, call, row, body.actions, body.reason)
    if row.seq is None:
        return await _close(service, call, row, body)
    if row.kind == Kind.SNAPSHOT_GUARD:
        return await _decide_snapshot(service, call, row, body)
    if row.kind == Kind.LOSS and body.resolution != "accept":
        raise invalid("resolution must be accept: nothing is sold until that word.", pointer="/resolution")
    command = Resolve(
        row.kind, row.sku, row.location, row.source, row.reservation, row.seq, body.word, body.reason,
        client, call.cause,
    )  # fmt: skip
    result = await service.ledger.submit_to(row.partition, command)
    if result.outcome is Outcome.NOT_FOUND and body.actions:  # they ended it
        return await _close(service, call, row, body)
    return _resolved(row, body, client, result)


async def _close(service: Service, call: Call, row: ExceptionRow, body: ResolveBody) -> Answer:
    """Say it in the journal alone: the ledger does not know it, or not any more."""
    try:
        await _journal(service).close_exception(row.id, body.word, call.principal.client, body.reason)
    except JournalError:
        raise _away() from None
    return Answer(200, _encode(_whole_view(await _found(service, call))))


async def _decide_snapshot(service: Service, call: Call, row: ExceptionRow, body: ResolveBody) -> Answer:
    """A full snapshot that would empty too much waits for one of two words (R13)."""
    if body.resolution not in ("accept", "discard"):
        raise invalid("resolution must be accept or discard: the snapshot waits for that word.", pointer="/resolution")
    parked = await service.ledger.snapshots.parked(row.source, row.reservation)
    if row.seq is None or parked > row.seq:
        parked = 0  # another one, begun after this was told
    command = SnapshotDecide(parked, body.resolution, [], call.principal.client, call.cause, body.reason)
    return _resolved(row, body, call.principal.client, await service.ledger.submit(command))


def _resolved(row: ExceptionRow, body: ResolveBody, client: str, result: Result) -> Answer:
    if not result.outcome.accepted:
        raise Problem(NOT_FOUND, "It ended meanwhile; ask again in a moment.")
    view = _whole_view(row)
    view.resolution, view.resolved_by, view.reason = body.word, client, body.reason
    return Answer(200, _encode(view))


async def _found(service: Service, call: Call) -> ExceptionRow:
    id = _number(call.param("id"), "id")
    try:
        row = await _journal(service).exception(id)
    except JournalError:
        raise _away() from None
    if row is None:
        raise Problem(NOT_FOUND, "There is no such exception.")
    return row


def _journal(service: Service) -> Journal:
    if service.journal is None:
        raise _away()
    return service.journal


def _away() -> Problem:
    return Problem(JOURNAL_UNAVAILABLE, "Exceptions are kept in the journal, and it cannot be asked now.")


def _number(text: str, name: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise invalid(f"{name} is not one that an answer gave.", parameter=name)


def _whole_view(row: ExceptionRow) -> ExceptionView:
    view = _view(row)
    guide = GUIDES[Kind(row.kind)]
    view.meaning, view.remedies, view.actions = guide.meaning, list(guide.remedies), list(guide.actions)
    return view


def _view(row: ExceptionRow) -> ExceptionView:
    return ExceptionView(
        str(row.id), row.kind, rfc3339(row.at), "" if row.seq is None else f"{row.partition}:{row.seq}",
        row.sku, row.location, row.source, row.reservation, json.decode(row.detail),
        rfc3339(row.resolved_at) if row.resolved_at else "", row.resolution or "", row.resolved_by or "",
        row.reason or "",
    )  # fmt: skip
