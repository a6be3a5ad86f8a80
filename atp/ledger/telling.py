"""Events about orders where skus live in several partitions: their stock part goes to the skus, the rest to the orders.

Each part counts once in its partition, so an event that is told again, in part or whole, has no effect twice. What one
step would do at once is done one after the other here, and errs low in between:

- Lines go to the first partition that knows the order and the sku; an order_ref whose reservations of one sku have
  their homes in several partitions finds only the first of them, and the excess is a person's to look at.
- An event that comes before its order waits in the home that an order of its lines would have.
- Units of lines without a location, shipped by their own source, stay subtracted in other partitions than the order's
  home until the source's next level.
"""

import asyncio
from collections.abc import Callable, Sequence

from msgspec import structs

from atp.domain.commands import TellOrder
from atp.domain.ids import digest53, partition_of, reservation_partition
from atp.domain.order_commands import OrderLine
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.ledger import wire
from atp.ledger.following import Ask
from atp.ledger.reader import Reader

#: What is told of an event whose parts ended differently, the first that any of them did.
_ORDER = (Outcome.ORPHANED, Outcome.AWAITED, Outcome.APPLIED, Outcome.DUPLICATE)


class Telling:
    """Divides one event and sends its parts."""

    def __init__(self, ask: Ask, readers: Sequence[Reader]) -> None:
        self._ask = ask
        self._readers = readers
        self._partitions = len(readers)

    async def tell(self, c: TellOrder) -> Result:
        """Apply all parts; refused as a whole, or in no part. Raises LedgerError: telling it again is safe."""
        places = sorted({line.location for line in c.lines if line.location})
        known = await self._readers[0].ask(*(wire.ask_policy("location", at) for at in places)) if places else []
        for at, policy in zip(places, known, strict=True):
            if policy is None:
                return Result(Outcome.UNKNOWN_LOCATION, detail=at)
        stock = await self._each(self._stock_parts(c))
        if refused := next((result for result in stock if result.outcome not in _ORDER), None):
            return refused
        results = await self._each(await self._order_parts(c))
        return min(results, key=lambda result: _ORDER.index(result.outcome) if result.outcome in _ORDER else -1)

    async def _each(self, parts: dict[int, TellOrder]) -> list[Result]:
        return await asyncio.gather(*(self._ask(partition, part, 0.0) for partition, part in parts.items()))

    def _stock_parts(self, c: TellOrder) -> dict[int, TellOrder]:
        """What happened on the shelves, by the partitions of the skus."""
        lines = [x for x in c.lines if x.location and (c.what == "fulfilled" or x.short)]
        event = digest53(str(c.event), "stock")
        return {
            partition: structs.replace(c, part="stock", event=event, lines=found)
            for partition, found in self._divided(lines, lambda x: partition_of(x.sku, self._partitions)).items()
        }

    async def _order_parts(self, c: TellOrder) -> dict[int, TellOrder]:
        """What it means to reservations, by their homes."""
        part = structs.replace(c, part="order")
        if c.reservation:
            home = reservation_partition(c.reservation, self._partitions)
            return {home or 0: part}
        found = await asyncio.gather(*(reader.ask(wire.ask_order(c.order)) for reader in self._readers))
        skus = {partition: set(answer[0]) for partition, answer in enumerate(found) if answer[0]}
        if not skus:
            first = min((line.sku for line in c.lines), default=c.order)
            return {partition_of(first, self._partitions): part}
        if not c.lines:
            return dict.fromkeys(skus, part)

        def home_of(line: OrderLine) -> int:
            return next((p for p, known in skus.items() if line.sku in known), next(iter(skus)))

        return {p: structs.replace(part, lines=lines) for p, lines in self._divided(c.lines, home_of).items()}

    @staticmethod
    def _divided(lines: Sequence[OrderLine], by: Callable[[OrderLine], int]) -> dict[int, list[OrderLine]]:
        found: dict[int, list[OrderLine]] = {}
        for line in lines:
            found.setdefault(by(line), []).append(line)
        return found
