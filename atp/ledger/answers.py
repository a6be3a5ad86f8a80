"""Answers to many commands of one caller: one future for all of them, and a place for each.

A future of its own costs each command a callback and a turn of the loop, which was more than deciding on it took here.
"""

import asyncio

from atp.domain.results import Result


class Answers:
    """Hand out a ``place`` per command, then wait until they are ``settled``."""

    def __init__(self) -> None:
        self.found: list[Result | BaseException | None] = []
        self.missing = 0
        self.waited_for: asyncio.Future[None] | None = None

    def place(self) -> "Place":
        """Where the answer to the next command goes."""
        self.found.append(None)
        self.missing += 1
        return Place(self, len(self.found) - 1)

    async def settled(self) -> None:
        """Wait until every place has its answer.

        Whoever is cancelled here abandons the answers, never a command that was sent.
        """
        if self.missing:
            self.waited_for = asyncio.get_running_loop().create_future()
            await self.waited_for

    def results(self) -> list[Result]:
        """One per place, in order, once they are settled; raises the first exception among them."""
        for answer in self.found:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in self.found if isinstance(answer, Result)]


class Place:
    """For one answer: a future as far as a batcher needs one."""

    __slots__ = ("_answers", "_index")

    def __init__(self, answers: Answers, index: int) -> None:
        self._answers = answers
        self._index = index

    def done(self) -> bool:
        """Whether it has its answer, or nobody waits for it any more."""
        answers = self._answers
        if answers.found[self._index] is not None:
            return True
        return answers.waited_for is not None and answers.waited_for.done()

    def set_result(self, result: Result) -> None:
        self._set(result)

    def set_exception(self, problem: BaseException) -> None:
        self._set(problem)

    def follow(self, future: asyncio.Future[Result]) -> None:
        """Take a future's answer, as its callback."""
        if not self.done():
            problem = asyncio.CancelledError() if future.cancelled() else future.exception()
            self._set(problem or future.result())

    def _set(self, answer: Result | BaseException) -> None:
        answers = self._answers
        answers.found[self._index] = answer
        answers.missing -= 1
        if not answers.missing and answers.waited_for is not None and not answers.waited_for.done():
            answers.waited_for.set_result(None)
