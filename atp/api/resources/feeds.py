"""The feed over HTTP: pages that a reader fetches or waits for, and the same as server-sent events (R33)."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import cast

from atp.api.call import Answer, Call
from atp.api.following.changes import Expired, StreamAway
from atp.api.following.cursors import Cursor, parse
from atp.api.following.feed import Feed, Page
from atp.api.problems import CURSOR_EXPIRED, OVERLOADED, STREAM_UNAVAILABLE, Problem, invalid
from atp.api.resources.requests import DEFAULT_CHANNEL
from atp.api.service import Service
from atp.domain.records import Asked
from atp.ledger import LedgerError

#: Changes in one page, and those of one who does not say.
LIMIT_MAX, LIMIT = 500, 100

#: Seconds that a call may wait for the first change.
WAIT_MAX = 30

#: A stream's reader hears at least this often that it is connected, and is let go within this time of a revoked key.
BEAT_S, CHECK_S = 20.0, 3.0

#: What cannot be reached is tried again for so long before a stream ends; its reader comes back to where it was.
PATIENCE_S, RETRY_S = 10.0, 1.0

#: Readers of streams and waiting calls in one process.
READERS_MAX = 5_000

#: What waking a long poll costs beside waking a stream's reader: it takes a whole request.
_POLL_COST = 5

_PARAMETERS = ("after", "limit", "channel", "campaign")
_EXPIRED = (
    "The stream of events does not reach back to this cursor. Begin without `after`: all skus are told, then changes."
)


async def list_changes(service: Service, call: Call) -> Answer:
    """For every sku that changed after the cursor its newest availability, at least once.

    States in between are left out. Without `after` all skus are told first, in pages, and then what changed: the same
    cursor leads through both. So it is again when a policy changed what channels may sell, or the ledger was rebuilt.
    `wait` holds the answer for so many seconds while there is nothing to tell. `limit` is exact but for pages that go
    through all skus, which may have a few hundred more.
    """
    query = call.query(*_PARAMETERS, "wait")
    asked, limit, wait_s = _asked(call, query), _number(query, "limit", 1, LIMIT_MAX, LIMIT), 0
    wait_s = _number(query, "wait", 0, WAIT_MAX, 0)
    feed = _feed(service, call)
    try:
        page = await _page_within(feed, await feed.begin(_cursor(query.get("after"))), asked, limit, wait_s)
    except Expired:
        raise Problem(CURSOR_EXPIRED, _EXPIRED) from None
    except StreamAway:
        raise Problem(STREAM_UNAVAILABLE, "The cursor stays as it is.") from None
    return Answer(200, page.body, {"cache-control": "no-store"})


async def stream_changes(service: Service, call: Call) -> Answer:
    """The feed as server-sent events: each event is a page, its id the cursor with which `Last-Event-ID` goes on.

    A reader that is slower than the changes hears of fewer states, never of fewer skus. A comment every 20 seconds
    shows that the connection lives.
    """
    query = call.query(*_PARAMETERS)
    asked, limit = _asked(call, query), _number(query, "limit", 1, LIMIT_MAX, LIMIT)
    feed = _feed(service, call)
    last = call.headers.get(b"last-event-id", b"").decode("latin-1")
    try:
        cursor = await feed.begin(_cursor(last, header="Last-Event-ID") if last else _cursor(query.get("after")))
    except Expired:
        raise Problem(CURSOR_EXPIRED, _EXPIRED) from None
    except StreamAway:
        raise Problem(STREAM_UNAVAILABLE, "The cursor stays as it is.") from None
    events = _events(service, feed, call, cursor, asked, limit)
    return Answer(200, b"", {"cache-control": "no-store"}, "text/event-stream", events)


async def _page_within(feed: Feed, cursor: Cursor, asked: Asked, limit: int, wait_s: int) -> Page:
    """The next page with something in it, or the last one within ``wait_s``."""
    until = time.monotonic() + wait_s
    page = await feed.page(cursor, asked, limit)
    while not page.changes and (left_s := until - time.monotonic()) > 0:
        if not page.more and not await feed.hub.wait(page.cursor.seq, left_s, _POLL_COST):
            break
        page = await feed.page(page.cursor, asked, limit)
    return page


async def _events(
    service: Service, feed: Feed, call: Call, cursor: Cursor, asked: Asked, limit: int
) -> AsyncGenerator[bytes]:
    yield b"retry: 2000\n\n"
    told_at = heard_at = time.monotonic()
    turn, caller = True, (call.headers.get(b"authorization", b""), asked.channel)
    if feed.guard is None:
        feed.guard = asyncio.create_task(_guard(service, feed))
    while not feed.hub.closed:
        try:
            if turn and feed.is_behind(cursor):
                page = await feed.page(cursor, asked, limit)
                cursor, heard_at = page.cursor, time.monotonic()
                if page.changes:
                    told_at = heard_at
                    yield page.event
            await _still_allowed(service, *caller)
        except (Expired, Problem):
            return
        except (StreamAway, LedgerError):
            if time.monotonic() - heard_at > PATIENCE_S:
                return
            await feed.hub.wait(_NEVER, RETRY_S)
            continue
        # Who walks through all skus waits for its turn, too.
        turn = await feed.hub.wait(-1 if cursor.walk else cursor.seq, BEAT_S, caller=caller)
        heard_at = time.monotonic()
        if heard_at - told_at >= BEAT_S:
            told_at = heard_at
            yield b": still here\nid: %b\n\n" % str(cursor).encode()


#: A seq that no stream comes to.
_NEVER = 1 << 62


async def _guard(service: Service, feed: Feed) -> None:
    """Look now and then who may still read; asked once for all readers with the same credentials."""
    while not feed.hub.closed:
        await asyncio.sleep(CHECK_S)
        for caller in feed.hub.callers():
            try:
                await _still_allowed(service, *cast(tuple[bytes, str], caller))
            except Problem:
                feed.hub.send_away(caller)
            except LedgerError:
                continue  # who cannot be asked about was known a moment ago


async def _still_allowed(service: Service, authorization: bytes, channel: str) -> None:
    """Raises Problem once the caller's credentials are worth nothing, or its client is bound to other channels."""
    principal = await service.clients.authenticate({b"authorization": authorization})
    principal.require(("availability:read",))
    principal.require_channel(channel)


def _feed(service: Service, call: Call) -> Feed:
    feed = service.feed
    if feed is None:
        raise Problem(STREAM_UNAVAILABLE, "This service runs without NATS, which the feed comes from.")
    if call.stop is not None:
        feed.hub.closes_with(call.stop)
    if len(feed.hub) >= READERS_MAX:
        raise Problem(OVERLOADED, "As many readers follow already as this process takes.")
    return feed


def _asked(call: Call, query: dict[str, str]) -> Asked:
    """Whose availability: of the channel named, else of the one that the client is bound to. Raises Problem."""
    channel, bound = query.get("channel"), call.principal.channels
    if channel is None and len(bound) > 1:
        raise invalid(f"This client is bound to {', '.join(sorted(bound))}: name one.", parameter="channel")
    channel = channel or next(iter(bound), DEFAULT_CHANNEL)
    call.principal.require_channel(channel)
    return Asked(channel, query.get("campaign", ""))


def _cursor(text: str | None, **where: str) -> Cursor | None:
    if text is None:
        return None
    cursor = parse(text)
    if cursor is None:
        raise invalid("This is not a cursor of the feed.", **(where or {"parameter": "after"}))
    return cursor


def _number(query: dict[str, str], name: str, least: int, most: int, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise invalid(f"{name} is a whole number from {least} to {most}.", parameter=name)
    return int(text)
