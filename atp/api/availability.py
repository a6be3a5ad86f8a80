"""Availability: how many units could be promised now, and what that number is made of (CONTRACT "Availability")."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, json, msgpack, structs

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.following.view import NotReached, Shown
from atp.api.problems import POSITION_NOT_REACHED, Problem, invalid
from atp.api.requests import DEFAULT_CHANNEL, AvailabilityBody, check_availability, check_day
from atp.api.service import Service, now_ms
from atp.deadletters import Suspects
from atp.domain.explain import Explanation, explain
from atp.domain.ids import digest53, partition_of
from atp.domain.records import Asked, LocationStock, SkuStock, SourceStock
from atp.domain.times import rfc3339
from atp.ledger import LedgerUnavailable

_body = Body(AvailabilityBody)
_encode = json.Encoder().encode

#: Who asks about a sku and says no more.
_ANYBODY = Asked(DEFAULT_CHANNEL)

#: Pollers may keep an answer, and ask with If-None-Match whether it still holds.
_CACHE = "private, no-cache"

_POSITION = re.compile("([0-9]{1,5}):([0-9]{1,16})")
_NOT_REACHED = "Within a second the ledger did not come to min_position. Is it of this service?"


class StockSourceView(Struct, frozen=True, gc=False):
    """A source of a location's number. The first one is that whose number is sold."""

    source: str
    as_of: Annotated[str | None, Meta(description="When its number was true, by its own word.")]
    lag_seconds: Annotated[float, Meta(description="How late its last event reached the ledger.")]
    role: Annotated[
        Literal["authority", "adjuster", "fallback", "shadow"],
        Meta(
            description="`authority`: its number counts. `adjuster`: its changes count in that number. `fallback`: is "
            "sold beside a silent authority. `shadow`: kept for comparison."
        ),
    ]
    stale: Annotated[
        Literal[True] | UnsetType,
        Meta(
            description="It sends heartbeats and was not heard for longer than its policy allows, or it said so long "
            "ago that this number is another one now."
        ),
    ] = UNSET
    uncertain: Annotated[
        Literal[True] | UnsetType,
        Meta(description="Changes that its number may lack are forgotten: until its next level it is on the low side."),
    ] = UNSET


class PromiseView(Struct, frozen=True, gc=False):
    """How much may be promised for a day."""

    date: Annotated[str, Meta(description="A day at the locations; supply due by then counts.")]
    quantity: Annotated[int, Meta(description="Units, without breaking a promise for a later day.")]


class LocationStockView(Struct, frozen=True):
    """One sku at one location.

    Free are `on_hand` - `unsellable` - `safety_stock` - `held` - `committed` - `shipped_uncounted`. `ats` is that and
    never below 0, less what is protected for other channels and campaigns, and at most what a cap leaves.
    Where `measure` is shown, `on_hand` is already net of `unsellable`, and of the orders in `committed_included`. Where
    `promised_later` is shown, that is subtracted as well.
    """

    location: str
    ats: Annotated[
        int, Meta(description="What a line that names this location would be granted now; 0 where it is not active.")
    ]
    on_hand: Annotated[int, Meta(description="Units by the authority's word; may be negative.")]
    unsellable: Annotated[int, Meta(description="Units that cannot be sold, those not found on the shelf among them.")]
    safety_stock: Annotated[int, Meta(description="Units withheld from sale.")]
    held: Annotated[int, Meta(description="Units reserved until a deadline.")]
    committed: Annotated[int, Meta(description="Units confirmed to orders and not yet shipped.")]
    shipped_uncounted: Annotated[
        int, Meta(description="Units that left, while `on_hand` does not show it yet; subtracted until it does.")
    ]
    sources: list[StockSourceView]
    measure: Annotated[
        Literal["sellable", "available"] | UnsetType, Meta(description="What `on_hand` counts, if not units on hand.")
    ] = UNSET
    committed_included: Annotated[
        int | UnsetType, Meta(description="Part of `committed` that is not subtracted: `on_hand` is net of it already.")
    ] = UNSET
    promised_later: Annotated[
        int | UnsetType, Meta(description="Units that promises for later days need, beyond the supply they hang on.")
    ] = UNSET
    suspect: Annotated[
        bool | UnsetType, Meta(description="True while an event of this position is in the dead letters.")
    ] = UNSET
    on_fallback: Annotated[
        Literal[True] | UnsetType,
        Meta(
            description="The authority was silent. Until its next level of this sku, that of its number and the "
            "fallback's is sold which leaves fewer units."
        ),
    ] = UNSET


class AvailabilityView(Struct, frozen=True):
    """One sku as one atomic reading. A sku nobody has heard of has no locations and 0 units."""

    sku: str
    channel: str
    ats: Annotated[
        int,
        Meta(
            description="Available to sell: the most that one reserve would be granted now. Where stock is protected "
            "for others or capped, the locations' numbers do not add up to it, since each may draw on the same units."
        ),
    ]
    held: int
    committed: int
    locations: list[LocationStockView]
    as_of: Annotated[str, Meta(description="Up to when these numbers are known to hold.")]
    position: Annotated[str, Meta(description="`partition:seq` of the last change of this sku.")]
    stale: Annotated[
        bool,
        Meta(
            description="Whether a source that a number here hangs on has been silent for longer than its policy "
            "allows, which can only be told of sources that send heartbeats, or said so long ago that it has "
            "another; or whether the ledger cannot be asked, and this is what was known last."
        ),
    ]
    campaign: Annotated[str | UnsetType, Meta(description="The campaign that was asked about.")] = UNSET
    explain: Annotated[
        Explanation | UnsetType, Meta(description="With `explain=true`: the terms that add up to `ats`.")
    ] = UNSET
    atp: Annotated[
        list[PromiseView] | UnsetType,
        Meta(description="Available to promise for the day that was asked for, else for each day that has supply due."),
    ] = UNSET


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
            etag = _rendered(service, shown, _ANYBODY)[1]
            return _unless_same(call, etag, lambda: _body_of(service, shown, _ANYBODY, away=False))
    check_day(query.get("date"), parameter="date")
    asked = _asked(call, query.get)
    need = positions(query.get("min_position"), service.ledger.partitions, parameter="min_position")
    explained = "explain" in query and _flag(query["explain"])
    if explained or _beyond_view(asked):
        await _reach(service, need)
        view = await _explained(service, sku, asked) if explained else (await _read(service, [sku], asked))[0]
        return _unless_same(call, _etag(view), lambda: _encode(view))
    (shown,), away = await _shown(service, [sku], asked, need)
    etag = _known_etag(service, shown, asked, away)
    return _unless_same(call, etag, lambda: _body_of(service, shown, asked, away))


def _unless_same(call: Call, etag: str, body: Callable[[], bytes]) -> Answer:
    """The answer, or only that the caller has it already."""
    headers = {"etag": etag, "cache-control": _CACHE}
    given = call.headers.get(b"if-none-match")
    if given is not None and etag.encode() in _etags(given):
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
        parts = [_encode(view) for view in await _read(service, body.skus, asked)]
    else:
        found, away = await _shown(service, body.skus, asked, need)
        parts = [_body_of(service, shown, asked, away) for shown in found]
    after = b"null" if cursor is None else b'"%b"' % str(cursor).encode()
    return Answer(200, b'{"availability":[%b],"cursor":%b}' % (b",".join(parts), after))


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


def _known_etag(service: Service, shown: Shown, asked: Asked, away: bool) -> str:
    return _etag(_view_of(service, shown, asked, away)) if away else _rendered(service, shown, asked)[1]


def _body_of(service: Service, shown: Shown, asked: Asked, away: bool) -> bytes:
    as_of = rfc3339(service.view.as_of(shown))
    if away:
        return _encode(structs.replace(_view_of(service, shown, asked, away), as_of=as_of))
    _, _, before, after = _rendered(service, shown, asked)
    return b"%b%b%b" % (before, as_of.encode(), after)


def _rendered(service: Service, shown: Shown, asked: Asked) -> tuple[int, str, bytes, bytes]:
    """Made once for all who read it: marks as of, ETag, and the body around the time, which alone is new each time."""
    marks = service.suspects.changes if service.suspects else 0
    if shown.rendered is None or shown.rendered[0] != marks:
        view = _view_of(service, shown, asked)
        before, _, after = _encode(structs.replace(view, as_of="@")).rpartition(b'"as_of":"@"')
        shown.rendered = (marks, _etag(view), before + b'"as_of":"', b'"' + after)
    return shown.rendered


def _view_of(service: Service, shown: Shown, asked: Asked, away: bool = False) -> AvailabilityView:
    stock = shown.stock
    view = availability_view(stock.sku, stock, asked, service.ledger.partitions, 0, service.suspects)
    return structs.replace(view, stale=True) if away else view


async def _explained(service: Service, sku: str, asked: Asked) -> AvailabilityView:
    """The answer and its terms, of one reading."""
    reading = await service.ledger.explanation(sku, asked)
    partitions, now = service.ledger.partitions, now_ms()
    view = availability_view(sku, reading.stock(), asked, partitions, now, service.suspects)
    return structs.replace(view, explain=explain(reading, asked))


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
    return Asked(
        channel, given("campaign") or "", given("location") or "", given("location_group") or "", given("date") or ""
    )


def availability_view(
    sku: str, stock: SkuStock, asked: Asked, partitions: int, now: int, suspects: Suspects | None = None
) -> AvailabilityView:
    """What callers see of ``stock``."""
    locations = [_location(at) for at in stock.locations]
    if suspects is not None:
        locations = [structs.replace(at, suspect=True) if suspects.has(sku, at.location) else at for at in locations]
    return AvailabilityView(
        sku,
        asked.channel,
        stock.ats,
        sum(at.held for at in locations),
        sum(at.committed for at in locations),
        locations,
        rfc3339(now),
        f"{partition_of(sku, partitions)}:{stock.seq}",
        any(s.stale and s.role in ("authority", "adjuster") for at in stock.locations for s in at.sources),
        asked.campaign or UNSET,
        atp=[PromiseView(day, quantity) for day, quantity in stock.atp] or UNSET,
    )


def _location(at: LocationStock) -> LocationStockView:
    b = at.balance
    return LocationStockView(
        b.location,
        at.ats,
        b.number if b.measure == "on_hand" else b.number - b.set_aside,
        b.unsellable + b.set_aside if b.measure == "on_hand" else b.unsellable,
        b.safety_stock,
        b.held,
        b.committed,
        b.shipped_uncounted,
        [_source(source) for source in at.sources],
        UNSET if b.measure == "on_hand" else b.measure,  # pyright: ignore[reportArgumentType]
        b.included if b.measure == "available" else UNSET,
        at.promised_later or UNSET,
        on_fallback=at.on_fallback or UNSET,
    )


def _source(s: SourceStock) -> StockSourceView:
    as_of = rfc3339(s.as_of) if s.as_of else None
    return StockSourceView(s.source, as_of, s.lag_ms / 1000, s.role, s.stale or UNSET, s.uncertain or UNSET)  # pyright: ignore[reportArgumentType]


def _etag(view: AvailabilityView) -> str:
    """Of everything but the times: a policy that changes the numbers without an entry of the sku changes it too."""
    numbers = [
        (at.location, at.ats, at.on_hand, at.unsellable, at.safety_stock, at.held, at.committed,
         at.shipped_uncounted, [(s.source, s.role, bool(s.stale), bool(s.uncertain)) for s in at.sources],
         at.measure or "", at.committed_included or 0, at.promised_later or 0, at.suspect or False,
         bool(at.on_fallback))
        for at in view.locations
    ]  # fmt: skip
    promises = view.atp or []  # a day that begins changes them without an entry too
    whole = (view.sku, view.channel, view.campaign or "", view.ats, view.position, view.stale, numbers, promises)
    if view.explain:
        whole += (view.explain,)
    return f'"{digest53(msgpack.encode(whole)):x}"'


def _etags(header: bytes) -> list[bytes]:
    """If-None-Match compares weakly: a proxy that compresses marks our tag as weak."""
    return [tag.strip().removeprefix(b"W/") for tag in header.split(b",")]
