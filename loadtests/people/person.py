"""A person at the API: asks under one key until the answer is definite, and lets locust count each kind by its name.

A refusal because all is sold is a right answer, and one that says when to come back is, too: each has a row of its own
in the statistics, and neither is a failure. No answer, a status of the 500s without ``Retry-After`` and an unexpected
one of the 400s are failures.
"""

import time
from random import Random

import gevent
from locust import FastHttpUser

from atp.demo.clerk import code_of
from atp.demo.http import Answer
from loadtests.people import floor

#: Who has no definite answer after this time will hardly get one, and says so in the books.
SETTLE_S = 45.0
_COME_BACK = (408, 429, 502, 503, 504)
_PAUSE_S = 0.5  # after no answer at all


class Unsettled(Exception):
    """No definite answer came in time."""


class Person(FastHttpUser):
    """What shoppers, bots, marketplaces and operators have in common."""

    abstract = True
    connection_timeout = 10.0
    network_timeout = 10.0
    #: Times that a refusal is answered with the same request at once, before ``Retry-After`` counts.
    hurry = 0

    def on_start(self) -> None:
        self.floor = floor.now()
        self.number = self.floor.number()
        self.rng = Random(f"{type(self).__name__} {self.floor.options.seed} {self.number}")  # noqa: S311 - a game
        self.name = f"{self.floor.retailer.tag}-{self.number}"
        self._keys = 0

    def wait_time(self) -> float:
        """Between two visits; at a thundering retry all come at the same instant."""
        beat = self.floor.options.beat_seconds
        return beat - time.monotonic() % beat if self.floor.options.shape == "thunder" else self.rng.uniform(0.2, 1.0)

    def key(self) -> str:
        """Of one more command."""
        self._keys += 1
        return f"people-{self.name}-{self._keys}"

    def ask(self, what: str, method: str, path: str, body: bytes = b"", key: str = "", admin: bool = False) -> Answer:
        """The definite answer. Raises Unsettled, and notes it in the books."""
        give_up, hurry = time.monotonic() + SETTLE_S, self._hurry()
        while True:
            answer, after_s = self._once(what, method, path, body, key, admin)
            if after_s is None:
                self.floor.books.answers += 1
                return answer
            self.floor.tally.retries[str(answer.status) if answer.status else "no answer"] += 1
            if time.monotonic() > give_up:
                if method == "POST" and key:
                    self.floor.books.unsettled.append(f"{method} {path} key {key}: {answer.status or 'no answer'}")
                raise Unsettled(path)
            if hurry:
                hurry -= 1
            else:
                gevent.sleep(after_s * self.rng.uniform(1.0, 1.2))

    def pay(self) -> None:
        """The time it takes."""
        gevent.sleep(min(5.0, self.rng.expovariate(1 / self.floor.options.pay_seconds)))

    def _hurry(self) -> int:
        return max(self.hurry, 5 if self.floor.options.shape == "thunder" else 0)

    def _once(
        self, what: str, method: str, path: str, body: bytes, key: str, admin: bool
    ) -> tuple[Answer, float | None]:
        """One request: what came back, and when to come back if that is not definite."""
        endpoints = self.floor.endpoints
        headers = {"Authorization": f"Bearer {endpoints.admin_key if admin else endpoints.api_key}"}
        if body:
            headers["Content-Type"] = "application/json"
        if key:
            headers["Idempotency-Key"] = key
        with self.client.request(
            method, path, name=what, data=body.decode() or None, headers=headers, catch_response=True
        ) as response:
            named = {name.lower().encode(): value.encode() for name, value in (response.headers or {}).items()}
            answer = Answer(response.status_code, named, response.content or b"")
            after = named.get(b"retry-after", b"")
            if answer.status in _COME_BACK and after:
                response.request_meta["name"] = f"{what}: come back ({answer.status} {code_of(answer)})"
                response.success()
                return answer, float(after)
            if answer.status == 0 or answer.status >= 500 or answer.status in _COME_BACK:
                response.failure(f"{answer.status or 'no answer'}")
                return answer, _PAUSE_S
            if answer.status == 409 and (code := code_of(answer)) == "insufficient-availability":
                response.request_meta["name"] = f"{what}: sold out"
                response.success()
            elif answer.status >= 400:
                code = code_of(answer)
                response.failure(f"{answer.status} {code}")
        return answer, None
