"""How a buyer learns what became of a request: by repeating it, under the same key, until the answer is definite.

A lost connection, a timeout and every 5xx say nothing certain; so do 408 and 429, which only ask to come back. All
other answers are final (DESIGN P3).
"""

import asyncio
import time
from random import Random

from atp.demo import documents
from atp.demo.books import Books
from atp.demo.http import Answer, Client, NoAnswer
from atp.demo.tally import Tally

#: A restart of any one process takes a few seconds; whoever has no answer after this time will hardly get one.
SETTLE_S = 60.0
#: Retry-After speaks to a crowd; on one machine nobody needs to wait longer than this.
_WAIT_MAX_S = 1.0
_WAIT_MIN_S = 0.05
_COME_BACK = (408, 429)


class Unsettled(Exception):
    """No definite answer came in time."""


class Patience:
    """One buyer's way to ask."""

    def __init__(self, client: Client, books: Books, tally: Tally, rng: Random) -> None:
        self._client = client
        self._books = books
        self._tally = tally
        self._rng = rng  # of pauses only, so that they do not change what is bought

    async def settle(
        self, what: str, method: str, path: str, body: bytes = b"", key: str = "", first_timeout_s: float = 0.0
    ) -> Answer:
        """The definite answer. Raises Unsettled, and notes it in the books.

        With ``first_timeout_s`` the first answer is not awaited longer than that, as by a caller in a hurry.
        """
        give_up = time.monotonic() + SETTLE_S
        pause = _WAIT_MIN_S
        hurry = {"timeout_s": first_timeout_s} if first_timeout_s else {}
        while True:
            started = time.monotonic()
            try:
                answer = await self._client.ask(method, path, body, key, **hurry)
                if answer.status < 500 and answer.status not in _COME_BACK:
                    self._tally.took(what, time.monotonic() - started)
                    self._books.answers += 1
                    return answer
                why = _code(answer)
                pause = max(pause, min(_WAIT_MAX_S, float(answer.headers.get(b"retry-after", b"0"))))
            except NoAnswer:
                why = "no answer"
            if not hurry:
                self._tally.retries[why] += 1
            hurry = {}
            if time.monotonic() > give_up:
                self._books.unsettled.append(f"{method} {path} key {key or '-'}: {why}")
                raise Unsettled(path)
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1.0))
            pause = min(_WAIT_MAX_S, pause * 2)


def _code(answer: Answer) -> str:
    try:
        return documents.problem(answer.body).code
    except ValueError:  # msgspec's errors are; a proxy or a bare server answered
        return str(answer.status)
