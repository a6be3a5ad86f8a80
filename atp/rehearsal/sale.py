"""The sale: visits come at their time and go through the real ledger and its law, in the order of their arrival."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from atp.domain.commands import Change, Command, Confirm, Release, Reserve, ReserveLine
from atp.domain.ids import digest53, reservation_id
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.ledger import Ledger, LedgerBusy, LedgerUnavailable, OutcomeUnknown
from atp.rehearsal.books import Books, Sale
from atp.rehearsal.visits import Visit

CLIENT = "rehearsal"

#: A command without an answer is sent again, as clients do, for so long.
PATIENCE_S = 20.0
_PAUSE_S = 0.05
#: Legs of a basket over several partitions follow their record within a second (R3).
FOLLOW_S = 1.5
#: Holds asked about at once.
_LOOKED_AT = 100


class Playing:
    """One sale on a ledger that is open. ``speed`` is how much faster than life it is played."""

    def __init__(self, ledger: Ledger, campaign: str, channel: str, ttl_ms: int, speed: float) -> None:
        self.books = Books()
        self._ledger = ledger
        self._campaign, self._channel = campaign, channel
        self._ttl_ms = max(1, round(ttl_ms / speed))
        self._speed = speed
        self._began = 0.0

    def lasts_s(self, visits: list[Visit]) -> float:
        """When the last visitor is done, in real seconds, if all is answered."""
        return max((visit.at + (visit.then != "leave") * visit.after for visit in visits), default=0.0) / self._speed

    async def run(self, visits: list[Visit], moved: Callable[[float], None]) -> None:
        """Until the last visitor is done; ``visits`` are in the order of their time. ``moved``: the share who came."""
        self._began = time.monotonic()
        stop = asyncio.Event()
        sweeping = asyncio.create_task(self._ledger.sweep(stop))
        try:
            async with asyncio.TaskGroup() as tasks:
                for number, visit in enumerate(visits):
                    wait = visit.at / self._speed - (time.monotonic() - self._began)
                    if wait > 0:
                        await asyncio.sleep(wait)
                    elif number % 256 == 0:
                        await asyncio.sleep(0)  # others share this loop
                    if number % 64 == 0:
                        moved(number / len(visits))
                    tasks.create_task(self._visit(number, visit))
        finally:
            stop.set()
            await sweeping

    async def until_ended(self, timeout_s: float, moved: Callable[[float], None]) -> None:
        """Wait until no abandoned hold of this sale is left; what still is then, the checks show."""
        stop = asyncio.Event()
        sweeping = asyncio.create_task(self._ledger.sweep(stop))
        left = [id for id, sale in self.books.sales.items() if sale.end == "expired"]
        give_up = time.monotonic() + timeout_s
        abandoned = len(left)
        try:
            while left and time.monotonic() < give_up:
                with contextlib.suppress(LedgerUnavailable):
                    looked = await asyncio.gather(*map(self._ledger.reservation, left[:_LOOKED_AT]))
                    held = [record.id for record in looked if record and record.state == "held"]
                    left = held + left[_LOOKED_AT:]
                    if not held:
                        continue
                moved(1 - len(left) / abandoned)
                await asyncio.sleep(_PAUSE_S)
            if self._ledger.partitions > 1:
                await asyncio.sleep(FOLLOW_S)
        finally:
            stop.set()
            await sweeping

    @property
    def ttl_s(self) -> float:
        """How long a hold lives here, in real seconds."""
        return self._ttl_ms / 1_000

    async def _visit(self, number: int, visit: Visit) -> None:
        books = self.books
        lines = [ReserveLine(str(n), line.sku, line.quantity) for n, line in enumerate(visit.lines, 1)]
        id = reservation_id(CLIENT, str(number), min(line.sku for line in lines))
        command = Reserve(
            id,
            digest53(str(number)),
            CLIENT,
            self._channel,
            visit.customer,
            "",
            self._campaign,
            "",
            self._ttl_ms,
            lines,
        )
        began = time.monotonic()
        result = await self._settle(command)
        if result is None:
            return
        books.latencies_ms.append((time.monotonic() - began) * 1_000)
        if not result.outcome.accepted:
            books.refused[result.outcome.name.lower()] += 1
            if result.outcome is Outcome.INSUFFICIENT:
                for shortfall in result.shortfalls:
                    books.gone_s.setdefault(shortfall.sku, self._now())
            return
        assert result.reservation
        books.granted[int(self._now())] += 1
        sale = books.sales[id] = Sale(_units(result))
        for sku, _ in sale.units:
            books.last_sold_s[sku] = self._now()
        if visit.then == "leave":
            sale.end = "expired"
            return
        await asyncio.sleep(visit.after / self._speed)
        await self._end(id, sale, visit, number)

    async def _end(self, id: str, sale: Sale, visit: Visit, number: int) -> None:
        change = Change(digest53(CLIENT, str(number), visit.then), 1)
        confirm = visit.then == "confirm"
        result = await self._settle(Confirm(id, change, "", []) if confirm else Release(id, change, "held", []))
        if result is None:
            return
        if result.outcome.accepted:
            sale.end = "committed" if confirm else "released"
            if confirm:
                self.books.paid_s.append(visit.after)
        else:  # its time had passed
            sale.end = "expired"
            self.books.late += confirm

    async def _settle(self, command: Command) -> Result | None:
        """The answer, asked for until it is there; None if it never came."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            self.books.requests[int(self._now())] += 1
            with contextlib.suppress(LedgerBusy, LedgerUnavailable, OutcomeUnknown):
                return await self._ledger.submit(command)
            if time.monotonic() > give_up:
                self.books.unsettled += 1
                return None
            self.books.again += 1
            await asyncio.sleep(_PAUSE_S)

    def _now(self) -> float:
        return (time.monotonic() - self._began) * self._speed


def _units(result: Result) -> dict[tuple[str, str], int]:
    assert result.reservation
    found: dict[tuple[str, str], int] = {}
    for line in result.reservation.lines:
        for at in line.allocations:
            found[line.sku, at.location] = found.get((line.sku, at.location), 0) + at.quantity
    return found
