"""Exceptions over HTTP: what a person should look at, and that somebody did."""

from typing import Annotated, Any

from msgspec import Meta, Struct, json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import JOURNAL_UNAVAILABLE, NOT_FOUND, Problem, invalid
from atp.api.requests import check_identifier
from atp.api.service import Service
from atp.domain.commands import Resolve
from atp.domain.exceptions import Kind
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.snapshots import SnapshotDecide
from atp.domain.times import rfc3339
from atp.journal import ExceptionRow, Journal, JournalError

_PAGE = 100
_REASON_MAX = 256
_STATES = {"open": True, "resolved": False, "all": None}

_encode = json.Encoder().encode


class ResolveBody(Struct, forbid_unknown_fields=True):
    """How it ended, and why."""

    reason: Annotated[str, Meta(min_length=1, max_length=_REASON_MAX)]
    resolution: Annotated[str, Meta(min_length=1, max_length=64)] = "accepted"


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
    """One exception, open or not."""
    return Answer(200, _encode(_view(await _found(service, call))))


async def resolve(service: Service, call: Call) -> Answer:
    """Say that somebody dealt with it, how and why. One that is over already is answered as it ended."""
    body = _resolve_body.decode(await call.body())
    check_identifier(body.reason, "/reason", _REASON_MAX)
    check_identifier(body.resolution, "/resolution")
    row, client = await _found(service, call), call.principal.client
    if row.resolved_at is not None:
        return Answer(200, _encode(_view(row)))
    if row.seq is None:
        return await _close(service, call, row, body)
    if row.kind == Kind.SNAPSHOT_GUARD:
        return await _decide_snapshot(service, call, row, body)
    command = Resolve(
        row.kind, row.sku, row.location, row.source, row.reservation, row.seq, body.resolution, body.reason,
        client, call.cause,
    )  # fmt: skip
    return _resolved(row, body, client, await service.ledger.submit_to(row.partition, command))


async def _close(service: Service, call: Call, row: ExceptionRow, body: ResolveBody) -> Answer:
    """End what the journal found by itself, and the ledger does not know."""
    try:
        await _journal(service).close_exception(row.id, body.resolution, call.principal.client, body.reason)
    except JournalError:
        raise _away() from None
    return Answer(200, _encode(_view(await _found(service, call))))


async def _decide_snapshot(service: Service, call: Call, row: ExceptionRow, body: ResolveBody) -> Answer:
    """A full snapshot that would empty too much waits for one of two words (R13)."""
    if body.resolution not in ("accept", "discard"):
        raise invalid("resolution must be accept or discard: the snapshot waits for that word.", pointer="/resolution")
    parked = await service.ledger.snapshots.parked(row.source)
    if row.seq is None or parked > row.seq:
        parked = 0  # another one, begun after this was told
    command = SnapshotDecide(parked, body.resolution, [], call.principal.client, call.cause, body.reason)
    return _resolved(row, body, call.principal.client, await service.ledger.submit(command))


def _resolved(row: ExceptionRow, body: ResolveBody, client: str, result: Result) -> Answer:
    if result.outcome is not Outcome.APPLIED:
        raise Problem(NOT_FOUND, "It ended meanwhile; ask again in a moment.")
    view = _view(row)
    view.resolution, view.resolved_by, view.reason = body.resolution, client, body.reason
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


def _view(row: ExceptionRow) -> ExceptionView:
    return ExceptionView(
        str(row.id), row.kind, rfc3339(row.at), "" if row.seq is None else f"{row.partition}:{row.seq}",
        row.sku, row.location, row.source, row.reservation, json.decode(row.detail),
        rfc3339(row.resolved_at) if row.resolved_at else "", row.resolution or "", row.resolved_by or "",
        row.reason or "",
    )  # fmt: skip
