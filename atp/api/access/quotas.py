"""Quotas: so many requests of a class for a client, over all processes (R31). 429 says the quota, never our load.

The check is local. Every tenth of a second a process tells the ledger in one call what its clients spent, and hears
what is left of each quota and which part is its own: an equal one, and what other processes leave of theirs. Between
calls its part goes on coming in, and so it does while the ledger is away. What processes spend together beyond what
was left is owed, so that over time nobody gets more than the rate.
"""

import asyncio
import math
import random
import secrets
import time
from typing import TYPE_CHECKING

import structlog
from msgspec import structs

from atp.api.access.principal import Principal
from atp.api.access.ratelimit import left_header, policy_header, seconds_for
from atp.api.problems import QUOTA_EXCEEDED, Problem
from atp.domain.keys import Quota
from atp.ledger import Ledger, LedgerError
from atp.ledger.quotas import Share, Spending
from atp.waiting import stopped_within

if TYPE_CHECKING:
    from atp.api.call import Answer

log = structlog.get_logger("atp.api")

#: How often the ledger is asked.
INTERVAL_S = 0.1

#: The longest time a client is told to wait: after that it had better look again.
RETRY_MAX_S = 30

#: The class of a route by its name; what is not named is of class bulk.
_CLASSES = {
    **dict.fromkeys(("reserve", "reserve_batch"), "reserve"),
    **dict.fromkeys(("confirm", "release", "extend", "fulfil", "acknowledge", "transfer", "get_reservation"), "change"),
    **dict.fromkeys(("get_availability", "query_availability", "list_changes", "stream_changes"), "read"),
}


class Meter:
    """What this process may still let one client ask for in one class."""

    __slots__ = ("_at", "_left", "_policy", "asked", "name", "part", "quota", "spent", "told_at")

    def __init__(self, name: str, quota: Quota) -> None:
        now = time.monotonic()
        self.name = name
        self.spent = self.asked = 0.0  # since the ledger was told
        self.told_at = now
        self.part = 1.0
        self._left, self._at = quota.size, now  # what nobody has told of is full; it is owed should it not have been
        self.limit(quota)

    def limit(self, quota: Quota) -> None:
        """From here on by this quota."""
        self.quota = quota
        self._policy = policy_header(self.name, quota)

    @property
    def empty(self) -> bool:
        """Whether the next ``take`` would raise."""
        return self._refill() < 1

    def take(self) -> None:
        """One request. Raises Problem (429)."""
        left = self._refill()
        self.asked += 1
        if left < 1:
            wait = seconds_for(1 - left, self.quota.rate * self.part)
            raise Problem(
                QUOTA_EXCEEDED,
                f"This client may make {self.quota.rate:g} requests a second of the class {self.name!r}. "
                "Nothing was applied.",
                headers={"retry-after": str(retry_after(wait))},
                violated=(self.name,),
            )
        self.charge(1)

    def charge(self, requests: int) -> None:
        """That many requests were made; what there is not enough of is owed."""
        self._left -= requests
        self.spent += requests

    def headers(self) -> dict[str, str]:
        """What answers say of it."""
        left = self._refill()
        full_in = seconds_for(self.quota.size - left, self.quota.rate * self.part)
        return {"ratelimit-policy": self._policy, "ratelimit": left_header(self.name, left, full_in)}

    def told(self, share: Share) -> None:
        """The ledger's word counts, less what was spent while it was asked."""
        self.part = share.part
        whole = min(share.left, 1.0)  # several parts of one request would never be one; who is too quick owes it
        self._left, self._at = max(share.left * share.part, whole) - self.spent, time.monotonic()

    def _refill(self) -> float:
        now = time.monotonic()
        most = max(1.0, self.quota.size * self.part)
        self._left = min(most, self._left + (now - self._at) * self.quota.rate * self.part)
        self._at = now
        return self._left


class Quotas:
    """The meters of a process: one for each client and class with a quota that asked for anything."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._process = f"q-{secrets.token_hex(6)}"
        self._meters: dict[tuple[str, str], Meter] = {}
        self._wanting: set[tuple[str, str]] = set()  # those the ledger has to hear of

    def meter(self, caller: Principal, route: str) -> Meter | None:
        """What limits this caller on a route, if anything does."""
        name = class_of(route)
        quota = caller.quotas.get(name)
        if quota is None:
            return None
        key = (caller.client, name)
        meter = self._meters.get(key)
        if meter is None:
            meter = self._meters[key] = Meter(name, quota)
        elif meter.quota is not quota:
            meter.limit(quota)
        self._wanting.add(key)
        return meter

    async def run(self) -> None:
        """Tell the ledger until cancelled."""
        never = asyncio.Event()
        while not await stopped_within(never, INTERVAL_S):
            await self.share()

    async def share(self) -> None:
        """Tell the ledger what was spent, and learn the shares. Without the ledger the last ones go on."""
        keys, self._wanting = list(self._wanting), set()
        if not keys:
            return
        meters = [self._meters[key] for key in keys]
        now = time.monotonic()
        spending: list[Spending] = []
        for (client, name), meter in zip(keys, meters, strict=True):
            wanted = meter.asked / max(now - meter.told_at, INTERVAL_S / 2)
            spending.append(Spending(f"{client}\0{name}", meter.quota.rate, meter.quota.size, meter.spent, wanted))
            if meter.asked:
                self._wanting.add((client, name))  # once more when it ends, so that others get its part
            meter.spent, meter.asked, meter.told_at = 0.0, 0.0, now
        try:  # should it fail, what was spent is not told later: every process kept to its part
            shares = await self._ledger.quotas.share(self._process, spending)
        except LedgerError as error:
            log.debug("quotas go on with their last shares", error=type(error).__name__)
            return
        for meter, share in zip(meters, shares, strict=True):
            meter.told(share)


def class_of(route: str) -> str:
    """The class that a route is counted in."""
    return _CLASSES.get(route, "bulk")


def retry_after(wait_s: float) -> int:
    """Whole seconds to wait, at least one and bounded; up to a quarter more, so that not all come back at once."""
    least = min(RETRY_MAX_S, max(1, math.ceil(wait_s)))
    return least + random.randint(0, max(1, least // 4))  # noqa: S311 - nothing is guarded by it


def marked(answer: "Answer", meter: Meter) -> "Answer":
    """The answer with what is left of the quota."""
    return structs.replace(answer, headers=answer.headers | meter.headers())
