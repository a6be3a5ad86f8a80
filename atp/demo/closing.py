"""After the sale: wait until everything is where it belongs, and sell the last units of what was wanted most.

Each wait has a condition and a bound. One that is not met is told, and the checks then show what is missing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg
from nats.errors import Error as NatsError

from atp.demo import documents
from atp.demo.books import Books
from atp.demo.buyers import Buyer
from atp.demo.evidence import Evidence
from atp.demo.patience import Patience
from atp.demo.retailer import Item
from atp.ledger import LedgerError

#: A process that was killed while it worked is followed by another one within its lease of ten seconds.
QUIET_S = 60.0
_LOOK_S = 0.2

STOCK_STREAM, STOCK_KEY = "STOCK", "STOCK/0"


async def until(what: str, condition: Callable[[], Awaitable[bool]], say: Callable[[str], None]) -> bool:
    """Ask until the condition holds; False when it does not within a minute. A server that is away is waited for."""
    give_up = time.monotonic() + QUIET_S
    say(what)
    while True:
        try:
            if await condition():
                return True
        except (LedgerError, NatsError, asyncpg.PostgresError, OSError, TimeoutError):
            pass
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(_LOOK_S)


async def stock_settled(evidence: Evidence, position: int) -> bool:
    """Whether every message up to ``position`` took effect, and the journal has it."""
    return await evidence.value("settled", STOCK_KEY) >= position


async def holds_ended(evidence: Evidence, customers: str) -> bool:
    """Whether nothing is held any more by these customers."""
    return not await evidence.value("open_holds", customers)


async def all_journaled(evidence: Evidence) -> bool:
    """Whether journal and events have reached the ledger's end, and the ledger stood still meanwhile."""
    before = await evidence.ledger_heads()
    journaled, published = await evidence.journal_heads()
    return before == journaled == published == await evidence.ledger_heads()


async def sell_the_last(buyer: Buyer, patience: Patience, books: Books, hot: list[Item]) -> tuple[int, list[str]]:
    """Buy all that is left of each hot item, then one more: (units sold, what went wrong).

    What availability promises must be sold to the last unit, and only then may a buyer hear that nothing is left.
    """
    sold, wrong = 0, []
    for item in hot:
        left = await _ats(patience, item.sku)
        if left:
            sale = await buyer.buy([(item, left, "")], "confirm")
            if sale is None:
                wrong.append(f"{item.sku}: {left} units are shown and cannot be bought")
                continue
            sold += left
        refused = len(books.refused)
        if await buyer.buy([(item, 1, "")], "confirm") is not None or len(books.refused) == refused:
            wrong.append(f"{item.sku}: one more unit could be bought than was shown")
        if shown := await _ats(patience, item.sku):
            wrong.append(f"{item.sku}: {shown} units are shown after the last was sold")
    return sold, wrong


async def _ats(patience: Patience, sku: str) -> int:
    answer = await patience.settle("availability", "GET", f"/v1/availability/{sku}")
    return documents.availability(answer.body).ats if answer.status == 200 else 0
