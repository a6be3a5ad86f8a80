"""Baskets that span partitions: the coordinator of one request (R3, docs/adr/0004).

Home opens an attempt, legs are taken in ascending partition order, home decides. Whatever happens to the coordinator,
``following.Following`` ends what it left: an attempt that home has not decided is aborted there, then its legs go.
Every command goes through ``ask``, so that a test can end the coordinator between any two of them.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Sequence

from msgspec import Struct, structs

from atp.domain.commands import Abort, Decide, DropLeg, OpenBasket, Reserve, TakeLeg
from atp.domain.ids import partition_of
from atp.domain.outcomes import Outcome
from atp.domain.records import Line, Reservation, Shortfall
from atp.domain.results import Result
from atp.ledger.errors import CrossPartition, LedgerBusy, LedgerError, LedgerUnavailable, OutcomeUnknown
from atp.ledger.following import Ask, Following

#: How long one request may wait for other baskets' tentative units, all partitions together.
BASKET_DEADLINE_S = 2.0

#: An attempt that is undecided for longer may be aborted by anybody: well past any coordinator's own deadline.
ATTEMPT_MS = 5_000

#: How long a refused basket asks the other partitions for the rest of the refusal's figures.
FIGURES_S = 0.1


class Basket(Struct):
    """One request: which lines live where."""

    reserve: Reserve
    home: int
    parts: dict[int, list[int]]  # partition → indexes of its lines; ascending

    def part(self, partition: int, *, dry_run: bool = False) -> Reserve:
        """The request as one partition is asked."""
        lines = [self.reserve.lines[index] for index in self.parts[partition]]
        replaces = "" if dry_run else self.reserve.replaces
        return structs.replace(self.reserve, lines=lines, dry_run=dry_run, replaces=replaces)

    def figures(self, partition: int, result: Result) -> list[Shortfall]:
        """A partition's refusal in terms of the whole request."""
        return [structs.replace(s, line=self.parts[partition][s.line]) for s in result.shortfalls]


def divide(reserve: Reserve, partitions: int) -> Basket:
    """Raises CrossPartition for what needs one reading of several partitions."""
    parts: dict[int, list[int]] = {}
    for index, line in enumerate(reserve.lines):
        parts.setdefault(partition_of(line.sku, partitions), []).append(index)
    if not reserve.allow_split:
        open_lines = {p for p, part in parts.items() for index in part if not reserve.lines[index].location}
        if len(open_lines) > 1:
            raise CrossPartition("lines that must come from one location live in several partitions")
    home = partition_of(min(line.sku for line in reserve.lines), partitions)
    return Basket(reserve, home, dict(sorted(parts.items())))


class _Refused(Exception):
    """A partition refuses for another reason than stock: a limit of the customer."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.outcome.name)
        self.result = result


class Baskets:
    """Coordinates baskets; ``following`` drives the legs of those that are held."""

    def __init__(self, ask: Ask, following: Following) -> None:
        self.ask = ask
        self._following = following

    async def reserve(self, basket: Basket) -> Result:
        """The law's answer to the whole request.

        Raises what a command of one partition raises, and BasketInProgress while another request has the id. Until
        the decision is sent nothing can have been applied, so only that one may leave the outcome unknown.
        """
        if basket.reserve.dry_run:
            return await self._quote(basket)
        r, until = basket.reserve, asyncio.get_running_loop().time() + BASKET_DEADLINE_S
        foreign = sorted({line.sku for p, part in basket.parts.items() if p != basket.home for line in _at(r, part)})
        try:
            opened = await self.ask(basket.home, OpenBasket(secrets.randbits(53), ATTEMPT_MS, foreign, r), until)
        except OutcomeUnknown as problem:
            raise LedgerUnavailable("the basket was not begun for certain, so it is not held") from problem
        if opened.outcome is not Outcome.APPLIED:
            return opened
        attempt, tried = opened.seq, []
        try:
            granted, shortfalls = await self._take(basket, attempt, tried, until)
        except _Refused as refused:
            await self._undo(basket, attempt, tried, [])
            return refused.result
        except LedgerError as problem:
            await self._undo(basket, attempt, tried, [])
            if isinstance(problem, OutcomeUnknown):
                raise LedgerUnavailable("a leg of the basket does not answer: it is not held") from problem
            raise
        if not any(line.allocations for line in granted):
            shortfalls += await self._rest(basket, tried)
            shortfalls.sort(key=lambda s: s.line)
            await self._undo(basket, attempt, tried, shortfalls)
            return Result(Outcome.INSUFFICIENT, opened.seq, None, shortfalls)
        return await self._decide(basket, attempt, tried, granted)

    async def _take(
        self, basket: Basket, attempt: int, tried: list[int], until: float
    ) -> tuple[list[Line], list[Shortfall]]:
        """Every line with what it was granted, and what is short. Nothing is granted when the basket is refused."""
        r = basket.reserve
        granted = [Line(line.line_id, line.sku, line.quantity, []) for line in r.lines]
        shortfalls: list[Shortfall] = []
        for partition, part in basket.parts.items():
            tried.append(partition)
            result = await self.ask(partition, TakeLeg(attempt, ATTEMPT_MS, basket.part(partition)), until)
            if result.outcome is Outcome.INSUFFICIENT:
                shortfalls += basket.figures(partition, result)
                if r.allow_partial:
                    continue
                return [], shortfalls
            if result.outcome is Outcome.NOT_ACTIVE:
                raise LedgerBusy("the attempt at this basket took too long and was ended")
            if result.reservation is None:
                raise _Refused(result)
            for index, line in zip(part, result.reservation.lines, strict=True):
                granted[index] = line
        return granted, shortfalls

    async def _decide(self, basket: Basket, attempt: int, tried: list[int], granted: list[Line]) -> Result:
        try:
            decided = await self.ask(basket.home, Decide(attempt, granted, basket.reserve), 0.0)
        except OutcomeUnknown:
            raise  # a repeat under the same id, or the sweeper, finds out
        except LedgerError:
            await self._undo(basket, attempt, tried, [])
            raise
        if decided.outcome.accepted:
            if decided.reservation is not None:
                self._following.notice(decided.reservation)
            if basket.reserve.replaces:
                self._following.notice_replaced(basket.reserve.replaces)
            return decided
        await self._undo(basket, attempt, tried, [])
        if decided.detail in ("attempt", "leg"):
            raise LedgerBusy("the attempt at this basket took too long and was ended")
        return decided

    async def _undo(self, basket: Basket, attempt: int, tried: Sequence[int], shortfalls: list[Shortfall]) -> None:
        """End the attempt and free what it took; what cannot be reached now is left to the sweeper."""
        r = basket.reserve
        ends = [self.ask(basket.home, Abort(r.id, r.fingerprint, attempt, shortfalls), 0.0)]
        ends += [self.ask(partition, DropLeg(r.id, attempt), 0.0) for partition in tried]
        await _errors_aside(ends)

    async def _rest(self, basket: Basket, tried: Sequence[int]) -> list[Shortfall]:
        """What else is short, in the partitions that a refused basket did not come to; as far as they say so now."""
        until = asyncio.get_running_loop().time() + FIGURES_S
        rest = [partition for partition in basket.parts if partition not in tried]
        answers = await _errors_aside([self.ask(p, basket.part(p, dry_run=True), until) for p in rest])
        found: list[Shortfall] = []
        for partition, result in zip(rest, answers, strict=True):
            if result is not None and result.outcome is Outcome.INSUFFICIENT:
                found += basket.figures(partition, result)
        return found

    async def _quote(self, basket: Basket) -> Result:
        """What would be held, partition by partition: several readings, and nothing is stored."""
        r, until = basket.reserve, asyncio.get_running_loop().time() + BASKET_DEADLINE_S
        parts = list(basket.parts)
        answers = await asyncio.gather(*(self.ask(p, basket.part(p, dry_run=True), until) for p in parts))
        lines = [Line(line.line_id, line.sku, line.quantity, []) for line in r.lines]
        shortfalls: list[Shortfall] = []
        quoted: Reservation | None = None
        for partition, result in zip(parts, answers, strict=True):
            if result.outcome is Outcome.INSUFFICIENT:
                shortfalls += basket.figures(partition, result)
            elif result.reservation is None:
                return result
            else:
                quoted = result.reservation
                for index, line in zip(basket.parts[partition], quoted.lines, strict=True):
                    lines[index] = line
        if quoted is None or (shortfalls and not r.allow_partial):
            shortfalls.sort(key=lambda s: s.line)
            return Result(Outcome.INSUFFICIENT, answers[0].seq, None, shortfalls)
        return Result(Outcome.QUOTED, answers[0].seq, structs.replace(quoted, lines=lines))


def _at(reserve: Reserve, indexes: Sequence[int]) -> list:
    return [reserve.lines[index] for index in indexes]


async def _errors_aside(waiting: Sequence[Awaitable[Result]]) -> list[Result | None]:
    """Wait for all; None where the ledger could not answer. Anything else that is raised goes on."""
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, LedgerError):
            raise answer
    return [answer if isinstance(answer, Result) else None for answer in answers]
