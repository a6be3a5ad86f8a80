"""Feed: for every sku that changed after a cursor its newest availability, at least once (R33).

States in between are left out. Without a cursor all skus are gone through first, from the ledger's own records, while
what changes meanwhile is told afterwards. The same happens when the stream says that any sku may have changed: after a
policy of the network, and after the ledger was rebuilt, whose numbers may be others than those told before.
"""

import asyncio
import time
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, json

from atp.api.following.changes import Changes
from atp.api.following.cursors import Cursor, Walk
from atp.api.following.hub import Hub
from atp.api.following.view import View
from atp.domain.records import Asked
from atp.domain.times import rfc3339
from atp.ledger import Ledger

#: How long a page is given to others at the same place, and how many such pages are kept.
SHARED_S, SHARED_MAX = 1.0, 256

_encode = json.Encoder().encode


class ChangeView(Struct, frozen=True):
    """The newest availability of a sku that changed."""

    sku: str
    channel: str
    ats: Annotated[int, Meta(description="Available to sell, as for `GET /v1/availability/{sku}`.")]
    position: Annotated[str, Meta(description="`partition:seq` of the last change of this sku.")]
    as_of: Annotated[str, Meta(description="Up to when this number was known to hold.")]
    campaign: Annotated[str | UnsetType, Meta(description="The campaign that was asked about.")] = UNSET


class FeedView(Struct, frozen=True):
    """A page of the feed."""

    changes: list[ChangeView]
    cursor: Annotated[str, Meta(description="`after` of the next call, in any process, for a day at least.")]
    more: Annotated[bool, Meta(description="Whether the next page is there already.")]


class Page(Struct, frozen=True):
    """A page as those who read it at the same time share it; ``body`` is its ``FeedView``."""

    changes: int
    cursor: Cursor
    more: bool
    body: bytes

    @property
    def event(self) -> bytes:
        """The page as a server-sent event, whose id is the cursor."""
        return b"id: %b\nevent: availability\ndata: %b\n\n" % (str(self.cursor).encode(), self.body)


class Feed:
    """Pages of one process. Everything raises LedgerError, StreamAway, and Expired for cursors it cannot go on from."""

    def __init__(self, ledger: Ledger, view: View, changes: Changes) -> None:
        self._ledger = ledger
        self._view = view
        self._changes = changes
        self._pages: dict[tuple[Cursor, Asked, int], tuple[float, asyncio.Task[Page]]] = {}
        self.hub = Hub(lambda: changes.through)
        changes.on_news = self.hub.news
        self.guard: asyncio.Task[None] | None = None  # sends readers away who may read no more

    async def begin(self, cursor: Cursor | None) -> Cursor:
        """The cursor to go on from: the given one, or that of somebody who knows nothing."""
        await self._changes.follow()
        if cursor is None:
            return Cursor(self._changes.id, self._changes.through, Walk())
        await self._changes.check(cursor.stream, cursor.seq)
        return cursor

    def is_behind(self, cursor: Cursor) -> bool:
        """Whether there is a page to be had at once."""
        return cursor.walk is not None or cursor.seq < self._changes.through

    async def newest(self) -> Cursor | None:
        """From where somebody goes on who reads all numbers after this call; None while the stream is away."""
        known = await self._changes.newest()
        return known and Cursor(*known)

    async def page(self, cursor: Cursor, asked: Asked, limit: int) -> Page:
        """What follows; readers at the same place share the work."""
        key, now = (cursor, asked, limit), time.monotonic()
        at, task = self._pages.get(key, (0.0, None))
        if task is None or now - at > SHARED_S or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(self._page(cursor, asked, limit))
            task.add_done_callback(_seen)
            self._pages.pop(key, None)
            self._pages[key] = now, task
            if len(self._pages) > SHARED_MAX:
                del self._pages[next(iter(self._pages))]
        return task.result() if task.done() else await asyncio.shield(task)

    async def close(self) -> None:
        """Let everybody go."""
        if self.guard is not None:
            self.guard.cancel()
            await asyncio.gather(self.guard, return_exceptions=True)
        await self.hub.close()
        await self._changes.close()

    async def _page(self, cursor: Cursor, asked: Asked, limit: int) -> Page:
        await self._changes.follow()
        if cursor.walk is None:
            found = await self._changes.after(cursor.seq, limit)
            if not found.all:
                after = Cursor(cursor.stream, found.through)
                return self._made(await self._read(found.skus, asked), after)
            cursor = Cursor(cursor.stream, self._changes.through, Walk())
        return await self._walk(cursor, cursor.walk or Walk(), asked, limit)

    async def _walk(self, cursor: Cursor, walk: Walk, asked: Asked, limit: int) -> Page:
        looks, partitions = self._ledger.looks, self._ledger.partitions
        if walk.partition >= partitions:  # the ledger was rebuilt with fewer
            walk = Walk()
        server, scan, skus = await looks.skus(walk.partition, walk.scan, limit)
        if walk.scan and server != walk.server:
            server, scan, skus = await looks.skus(walk.partition, 0, limit)
        rest = Walk(walk.partition, scan, server) if scan else None
        if rest is None and walk.partition + 1 < partitions:
            rest = Walk(walk.partition + 1)
        after = Cursor(cursor.stream, cursor.seq, rest)
        return self._made(await self._read(skus, asked), after)

    def _made(self, changes: list[ChangeView], after: Cursor) -> Page:
        more = self.is_behind(after)
        return Page(len(changes), after, more, _encode(FeedView(changes, str(after), more)))

    async def _read(self, skus: list[str], asked: Asked) -> list[ChangeView]:
        if not skus:
            return []
        await self._view.tail.catch_up()  # what the stream told of is then in the numbers
        campaign = asked.campaign or UNSET
        return [
            ChangeView(
                shown.stock.sku, asked.channel, shown.stock.ats, f"{shown.partition}:{shown.stock.seq}",
                rfc3339(self._view.as_of(shown)), campaign,
            )
            for shown in await self._view.read(skus, asked)
        ]  # fmt: skip


def _seen(task: asyncio.Task[Page]) -> None:
    """Those who waited may all have gone, and its failure is nobody's then."""
    if not task.cancelled():
        task.exception()
