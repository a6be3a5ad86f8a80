"""Availability: how many units could be promised now, and what that number is made of (CONTRACT "Availability")."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Meta, Struct, structs

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.following.view import NotReached, Shown
from atp.api.problems import POSITION_NOT_REACHED, Problem, invalid
from atp.api.resources.availability_views import AvailabilityView, availability_view, etag_of
from atp.api.resources.rendering import CACHE, bodies_of, body_of, encode, etags, known_etag
from atp.api.resources.requests import DEFAULT_CHANNEL, AvailabilityBody, check_availability, check_day
from atp.api.service import Service, now_ms
from atp.domain.explain import explain
from atp.domain.records import Asked
from atp.ledger import LedgerUnavailable

_body = Body(AvailabilityBody)

#: Who asks about a sku and says no more.
_ANYBODY = Asked(DEFAULT_CHANNEL)

_POSITION = re.compile("([0-9]{1,5}):([0-9]{1,16})")
_NOT_REACHED = "Within a second the ledger did not come to min_position. Is it of this service?"


class AvailabilityList(Struct, frozen=True):
    """In the order of the request."""

    availability: list[AvailabilityView]
    cursor: Annotated[
        str | None,
        Meta(description="`after` for the feed: it tells what changed since. None while the feed is not to be had."),
    ]


async def get_availability(service: Service, call: Call) -> Answer:
    """One sku. `ETag` changes when the numbers do; `If-None-Match` answers 304 while they have not.

    The answer has everything that this process has acknowledged or seen, and with `min_position` what happened up to
    that position, of a reservation or another answer. While the ledger is away, what was known last is answered with
    `stale`.
    """
    sku = call.param("sku")
    query = call.query("channel", "campaign", "location", "location_group", "explain", "date", "min_position")
    if not query:  # as most are
        call.principal.require_channel(DEFAULT_CHANNEL)
        if shown := service.view.known(sku, _ANYBODY):
            return _shown_answer(service, call, shown, away=False)
    check_day(query.get("date"), parameter="date")
    asked = _asked(call, query.get)
    need = positions(query.get("min_position"), service.ledger.partitions, parameter="min_position")
    explained = "explain" in query and _flag(query["explain"])
    if explained or _beyond_view(asked):
        await _reach(service, need)
        view = await _explained(service, call, sku, asked) if explained else (await _read(service, [sku], asked))[0]
        return _unless_same(call, etag_of(view), lambda: encode(view))
    (shown,), away = await _shown(service, [sku], asked, need)
    return _shown_answer(service, call, shown, away, again=not need)


def _shown_answer(service: Service, call: Call, shown: Shown, away: bool, again: bool = True) -> Answer:
    """Of the process's copy; the same may be asked ``again``, and is then answered by ``prepared``."""
    if again and not away:
        service.view.remember(call.question, shown)
    return _unless_same(call, known_etag(service, shown, away), lambda: body_of(service, shown, away))


def _unless_same(call: Call, etag: str, body: Callable[[], bytes]) -> Answer:
    """The answer, or only that the caller has it already."""
    headers = {"etag": etag, "cache-control": CACHE}
    given = call.headers.get(b"if-none-match")
    if given is not None and etag.encode() in etags(given):
        return Answer(304, b"", headers)
    return Answer(200, body(), headers)


async def query_availability(service: Service, call: Call) -> Answer:
    """Up to 500 skus at once; each is one atomic reading, the list as a whole is not."""
    body = _body.decode(await call.body())
    check_availability(body)
    asked = _asked(call, lambda name: getattr(body, name))
    need = positions(body.min_position, service.ledger.partitions, pointer="/min_position")
    cursor = await service.feed.newest() if service.feed else None  # before the numbers, so that nothing is missed
    if _beyond_view(asked):
        await _reach(service, need)
        texts = b",".join(map(encode, await _read(service, body.skus, asked)))
    else:
        found, away = await _shown(service, body.skus, asked, need)
        texts = bodies_of(service, found, away)
    after = b"null" if cursor is None else b'"%b"' % str(cursor).encode()
    return Answer(200, b'{"availability":[%b],"cursor":%b}' % (texts, after))


def positions(text: str | None, partitions: int, **where: str) -> dict[int, int]:
    """The seq by partition that a caller wants to see reached; positions are separated by commas.

    Raises Problem (400); ``where`` is as for ``invalid``.
    """
    found: dict[int, int] = {}
    for position in (text or "").split(",") if text else ():
        match = _POSITION.fullmatch(position)
        if match is None or int(match[1]) >= partitions:
            raise invalid("This is not a position of this ledger, such as 0:1234.", **where)
        found[int(match[1])] = max(int(match[2]), found.get(int(match[1]), 0))
    return found


def _beyond_view(asked: Asked) -> bool:
    """Whether only the ledger answers this: few ask about one place or day, and the calendar changes it."""
    return bool(asked.location or asked.location_group or asked.date)


async def _shown(service: Service, skus: Sequence[str], asked: Asked, need: dict[int, int]) -> tuple[list[Shown], bool]:
    """Current readings; or those known last, and True, while the ledger cannot be asked."""
    try:
        return await service.view.read(skus, asked, need), False
    except NotReached:
        raise Problem(POSITION_NOT_REACHED, _NOT_REACHED) from None
    except LedgerUnavailable:
        last = None if need else service.view.last(skus, asked)
        if last is None:
            raise
        return last, True


async def _reach(service: Service, need: dict[int, int]) -> None:
    try:
        if need:
            await service.view.reach(need)
    except NotReached:
        raise Problem(POSITION_NOT_REACHED, _NOT_REACHED) from None


async def _read(service: Service, skus: Sequence[str], asked: Asked) -> list[AvailabilityView]:
    """What the ledger says now."""
    stocks = await service.ledger.availability(skus, asked)
    partitions, now = service.ledger.partitions, now_ms()
    return [
        availability_view(sku, stock, asked, partitions, now, service.suspects)
        for sku, stock in zip(skus, stocks, strict=True)
    ]


async def _explained(service: Service, call: Call, sku: str, asked: Asked) -> AvailabilityView:
    """The answer and its terms, of one reading; who is bound to channels is not told of the others' shares (R34)."""
    reading = await service.ledger.explanation(sku, asked)
    partitions, now = service.ledger.partitions, now_ms()
    view = availability_view(sku, reading.stock(), asked, partitions, now, service.suspects)
    return structs.replace(view, explain=explain(reading, asked, others_named=not call.principal.channels))


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise invalid("explain is true or false.", parameter="explain")
    return text == "true"


def _asked(call: Call, given: Callable[[str], str | None]) -> Asked:
    """What the caller asks about. Raises Problem (400, 403)."""
    channel = given("channel") or DEFAULT_CHANNEL
    call.principal.require_channel(channel)
    if given("location") and given("location_group"):
        raise invalid("Ask about a location or about a group of them.")
    asked = Asked(
        channel, given("campaign") or "", given("location") or "", given("location_group") or "", given("date") or ""
    )
    return _ANYBODY if asked == _ANYBODY else asked  # what is the same object is found in half the time
