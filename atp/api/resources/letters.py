"""Dead letters over HTTP: the same desk that ``atp dlq`` has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Literal

import structlog
from msgspec import UNSET, Meta, Struct, UnsetType, json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import NOT_FOUND, NOT_REPLAYABLE, STREAM_UNAVAILABLE, Problem, invalid
from atp.api.resources.requests import check_identifier
from atp.api.service import Service
from atp.deadletters import (
    Chosen,
    Desk,
    Done,
    LetterMissing,
    LettersUnavailable,
    LetterView,
    NotReplayable,
    view,
    whole_view,
)
from atp.domain.identifiers import ID_MAX

log = structlog.get_logger("atp.api")

#: Letters of one page, and letters that one call acts on.
PAGE_MAX = 100
AT_ONCE_MAX = 1_000

_encode = json.Encoder().encode

Token = Annotated[str, Meta(pattern="^[0-9]{1,16}$", description="Go on where an answer before ended.")]
Given = Annotated[str, Meta(min_length=1, max_length=ID_MAX)]
NextToken = Annotated[str | UnsetType, Meta(description="There may be more: ask again with this `page_token`.")]


class LetterList(Struct, omit_defaults=True):
    """Dead letters, oldest first."""

    dead_letters: list[LetterView]
    next_page_token: NextToken = UNSET


class ManyBody(Struct, forbid_unknown_fields=True):
    """Which dead letters are meant; `{}` means all, oldest first."""

    source: Given | None = None
    reason: Given | None = None
    before: Annotated[datetime, Meta(tz=True, description="Only those set aside before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=AT_ONCE_MAX, description="Letters tried by this call.")] = AT_ONCE_MAX
    page_token: Token | None = None


class LetterFailure(Struct):
    """A letter that stays, and why."""

    id: str
    detail: str


class ManyView(Struct, omit_defaults=True):
    """What became of many letters."""

    count: Annotated[int, Meta(description="Letters that are gone from here now.")]
    failed: Annotated[list[LetterFailure], Meta(description="Letters that stay.")]
    next_page_token: NextToken = UNSET


class LetterDone(Struct):
    """What became of one letter."""

    id: str
    status: Literal["replayed", "discarded"]


_body = Body(ManyBody)


async def list_letters(service: Service, call: Call) -> Answer:
    """Messages that failed by their own content, oldest first, with the reason. Payloads are shown one by one."""
    given = call.query("source", "reason", "page_token")
    token = given.get("page_token", "0")
    if not _is_number(token):
        raise invalid("The page token is not one of ours.", parameter="page_token")
    chosen = Chosen(_source(given.get("source", ""), parameter="source"), given.get("reason", ""))
    async with _desk(service) as desk:
        page = await desk.page(chosen, int(token), PAGE_MAX)
    return Answer(200, _encode(LetterList([view(letter) for letter in page.letters], _token(page.after))))


async def get_letter(service: Service, call: Call) -> Answer:
    """One dead letter with its payload and the headers of the original."""
    async with _desk(service) as desk:
        return Answer(200, _encode(whole_view(await desk.get(_id(call)))))


async def replay_letter(service: Service, call: Call) -> Answer:
    """Send the message to its subject again, with its own id and version: an old level stays stale.

    The letter goes when the stream has taken the message; if it fails once more, that is a new letter.
    """
    id = _id(call)
    async with _desk(service) as desk:
        await desk.replay(id)
    _note(call, "replayed", id=id)
    return Answer(200, _encode(LetterDone(str(id), "replayed")))


async def discard_letter(service: Service, call: Call) -> Answer:
    """Throw a dead letter away."""
    id = _id(call)
    async with _desk(service) as desk:
        await desk.discard(id)
    _note(call, "discarded", id=id)
    return Answer(200, _encode(LetterDone(str(id), "discarded")))


async def replay_letters(service: Service, call: Call) -> Answer:
    """Send all that are meant again, oldest first. Those that fail again are new letters, behind the ones tried."""
    chosen, after, limit = await _meant(call)
    async with _desk(service) as desk:
        done = await desk.replay_all(chosen, after, limit)
    _note(call, "replayed", count=done.count)
    return _done(done)


async def discard_letters(service: Service, call: Call) -> Answer:
    """Throw all that are meant away."""
    chosen, after, limit = await _meant(call)
    async with _desk(service) as desk:
        done = await desk.discard_all(chosen, after, limit)
    _note(call, "discarded", count=done.count)
    return _done(done)


async def _meant(call: Call) -> tuple[Chosen, int, int]:
    """Which letters, behind which one, and how many."""
    body = _body.decode(await call.body())
    check_identifier(body.reason, "/reason")
    before = int(body.before.timestamp() * 1000) if body.before else None
    chosen = Chosen(_source(body.source or "", pointer="/source"), body.reason or "", before)
    return chosen, int(body.page_token or "0"), body.limit


def _note(call: Call, what: str, **which: int) -> None:
    """Who did it: dead letters are no state of the ledger, so no entry says so."""
    log.info("dead letters handled", what=what, client=call.principal.client, request_id=call.request_id, **which)


def _done(done: Done) -> Answer:
    failed = [LetterFailure(str(failure.id), failure.detail) for failure in done.failures]
    return Answer(200, _encode(ManyView(done.count, failed, _token(done.after))))


@asynccontextmanager
async def _desk(service: Service) -> AsyncIterator[Desk]:
    """The desk; what it raises becomes a problem."""
    if service.desk is None:
        raise Problem(STREAM_UNAVAILABLE, "This process has no NATS: ATP_NATS_URL is not set.")
    try:
        yield service.desk
    except LettersUnavailable as error:
        raise Problem(STREAM_UNAVAILABLE, f"The dead letters cannot be reached: {error}.") from None
    except LetterMissing:
        raise Problem(NOT_FOUND, "There is no such dead letter: it was replayed, discarded, or never there.") from None
    except NotReplayable as error:
        raise Problem(NOT_REPLAYABLE, f"The message cannot be sent again: {error}.") from None


def _id(call: Call) -> int:
    text = call.param("id")
    if not _is_number(text):
        raise Problem(NOT_FOUND, "There is no such dead letter: ids are numbers.")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16


def _source(text: str, **where: str) -> str:
    """It becomes part of a subject, where some characters mean more."""
    if any(c in ".*>" or c.isspace() for c in text):
        raise invalid("A source in a subject has no dot, star, > or space.", **where)
    check_identifier(text or None, where.get("pointer", ""))
    return text


def _token(after: int | None) -> str | UnsetType:
    return UNSET if after is None else str(after)
