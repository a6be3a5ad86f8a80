"""Checks over HTTP: ask for one, and see what it found. `atp drain` runs them."""

from typing import Annotated, Any

from msgspec import Meta, Struct, json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import JOURNAL_UNAVAILABLE, NOT_FOUND, Problem
from atp.api.service import Service
from atp.domain.times import rfc3339
from atp.journal import Checking, JournalError, RunRow

#: Runs of one list, and findings of one answer.
_RUNS = 100
_FINDINGS = 1_000

_encode = json.Encoder().encode


class CheckBody(Struct, forbid_unknown_fields=True):
    """How to check; `{}` finds and tells."""

    repair: Annotated[bool, Meta(description="Repair what can be repaired without a guess.")] = False
    share: Annotated[float, Meta(ge=0.1, le=100, description="Percent of the ledger's time it may take.")] = 10.0


class CheckView(Struct, omit_defaults=True):
    """One check."""

    id: str
    status: Annotated[str, Meta(description="waiting, running, done or failed")]
    repair: bool
    requested_at: str
    requested_by: str
    percent: float
    looked: Annotated[int, Meta(description="Records looked at.")]
    found: Annotated[int, Meta(description="Differences.")]
    repaired: int
    stage: str = ""
    started_at: str = ""
    finished_at: str = ""
    note: str = ""


class WholeCheckView(CheckView, omit_defaults=True, kw_only=True):
    """One check, and what it found: at most 1,000 differences with their evidence."""

    findings: list[dict[str, Any]]


class CheckList(Struct):
    """Checks, newest first, the last 100."""

    checks: list[CheckView]


_body = Body(CheckBody)


async def request_check(service: Service, call: Call) -> Answer:
    """Ask for a check of the ledger against itself, the journal and what sources said. One runs at a time."""
    raw = await call.body(required=False)
    body = _body.decode(raw) if raw else CheckBody()
    checking = _checking(service)
    try:
        id = await checking.request(call.principal.client, repair=body.repair, share=body.share / 100)
        row = await checking.run(id)
    except JournalError:
        raise _away() from None
    assert row is not None, "it was just made"
    return Answer(202, _encode(CheckView(**_fields(row))), {"location": f"/v1/checks/{id}"})


async def list_checks(service: Service, call: Call) -> Answer:
    """The last checks, newest first."""
    try:
        rows = await _checking(service).runs(_RUNS)
    except JournalError:
        raise _away() from None
    return Answer(200, _encode(CheckList([CheckView(**_fields(row)) for row in rows])))


async def get_check(service: Service, call: Call) -> Answer:
    """How far a check is, and what it found so far."""
    text = call.param("id")
    try:
        id = int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0
        row = await _checking(service).run(id)
        bodies = await _checking(service).findings(id, _FINDINGS) if row else []
    except JournalError:
        raise _away() from None
    if row is None:
        raise Problem(NOT_FOUND, "There is no such check.")
    return Answer(200, _encode(WholeCheckView(**_fields(row), findings=[json.decode(body) for body in bodies])))


def _fields(row: RunRow) -> dict[str, Any]:
    times = {
        name: rfc3339(int(at.timestamp() * 1000)) if (at := getattr(row, name)) else ""
        for name in ("requested_at", "started_at", "finished_at")
    }
    return times | {
        "id": str(row.id), "status": row.status, "repair": row.repair, "requested_by": row.requested_by,
        "percent": round(100 * row.progress, 1), "looked": row.looked, "found": row.found, "repaired": row.repaired,
        "stage": row.stage, "note": row.note,
    }  # fmt: skip


def _checking(service: Service) -> Checking:
    if service.journal is None:
        raise _away()
    return service.journal.checking


def _away() -> Problem:
    return Problem(JOURNAL_UNAVAILABLE, "Checks are kept in the journal, and it cannot be asked now.")
