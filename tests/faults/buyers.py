"""Buyers: reserve, then confirm, release, extend, ship or leave; whatever is unknown is asked again under its key."""

import asyncio
import time
from random import Random

from msgspec import json

from atp.demo import documents
from atp.demo.http import Answer, Client, NoAnswer
from atp.domain.ids import reservation_id

from .history import History, Kind, Op
from .shop import CLIENT, PLAIN, SCARCE

#: Holds of buyers who mean to buy outlive every outage; those who leave are not waited for long.
_TTL_S, _TTL_LEFT_S = 300, 1
_THINK_S = 0.01
_PAUSE_S = (0.02, 0.5)

_PLANS = {"buy": 40, "ship": 20, "release": 18, "extend": 6, "leave": 10, "vanish": 6}
_REPEAT, _BASKET, _SCARCE = 0.05, 0.15, 0.6
_COME_BACK = (408, 429)


class Buyer:
    """One customer after another over one connection."""

    def __init__(self, number: int, seed: int, url: str, key: str, history: History, patience_s: float = 60.0) -> None:
        """``patience_s``: how long one operation is asked for again."""
        self._name = f"b{seed}-{number}"
        self._rng = Random(f"{seed} {number}")
        self._client = Client(url, key)
        self._history = history
        self._patience_s = patience_s
        self._count = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Shop until ``stop``; what was begun is settled first."""
        while not stop.is_set():
            await self.run_once()
            await asyncio.sleep(self._rng.expovariate(1 / _THINK_S))
        self.close()

    def close(self) -> None:
        """Leave."""
        self._client.close()

    async def run_once(self) -> None:
        """One visit."""
        plan = self._rng.choices(list(_PLANS), list(_PLANS.values()))[0]
        op = await self.reserve(plan)
        if op is None or op.outcome != "ok" or plan == "leave":
            return
        await asyncio.sleep(self._rng.expovariate(1 / _THINK_S))
        if plan == "extend":
            await self.change(op, "extend", {"ttl_seconds": _TTL_S})
        if plan in ("release", "extend"):
            await self.change(op, "release", {})
        elif await self.change(op, "confirm", {"order_ref": f"O-{op.key}"}) and plan == "ship":
            await self.change(op, "fulfil", {"shipment": f"S-{op.key}"})

    # -- steps -----------------------------------------------------------------------------------------------------

    async def reserve(self, plan: str) -> Op | None:
        """The operation when it is settled; None of one that nobody will ask for again."""
        key, lines = self._key(), self._lines(plan)
        ttl = _TTL_LEFT_S if plan in ("leave", "vanish") else _TTL_S
        body = json.encode(
            {
                "lines": [{"sku": sku, "quantity": n} for sku, n in lines.items()],
                "customer": f"c-{key}",
                "ttl_seconds": ttl,
            }
        )
        op = Op("reserve", key, lines, reservation_id(CLIENT, key, min(lines)), ends_after=time.monotonic() + ttl)
        self._history.begin(op)
        if plan == "vanish":  # in a hurry, and never seen again
            await self._attempt(op, "/v1/reservations", body, timeout_s=self._rng.uniform(0.001, 0.01))
            return None
        answer = await self._settle(op, "/v1/reservations", body)
        if answer is not None and answer.status == 201:
            op.end("ok")
            self._compare(op, answer)
            if self._rng.random() < _REPEAT:
                await self._repeat(op, "/v1/reservations", body, answer)
        elif answer is not None:
            self._note_refusal(op, answer)
        return op

    async def change(self, of: Op, kind: Kind, body: dict[str, object]) -> bool:
        """Confirm, release, extend or ship all of a reservation; whether it was done."""
        op = self._history.begin(Op(kind, self._key(), of.lines, of.id))
        raw, path = json.encode(body), f"/v1/reservations/{of.id}/{kind}"
        answer = await self._settle(op, path, raw)
        if answer is None:
            return False
        if answer.status != 200:
            op.end("refused", _code(answer))
            if not (op.code == "reservation-expired" and time.monotonic() > of.ends_after):
                self._history.contradictions.append(f"{kind} of {of.id}: {answer.status} {answer.body[:200]!r}")
            return False
        op.end("ok")
        self._compare(of, answer, kind)
        if self._rng.random() < _REPEAT:
            await self._repeat(op, path, raw, answer)
        return True

    async def _settle(self, op: Op, path: str, body: bytes) -> Answer | None:
        """Ask until the answer is definite; None when there is none in all the time that a buyer has."""
        give_up, pause = time.monotonic() + self._patience_s, _PAUSE_S[0]
        while time.monotonic() < give_up:
            answer = await self._attempt(op, path, body)
            if answer is not None:
                return answer
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1))
            pause = min(_PAUSE_S[1], 2 * pause)
        return None

    async def _attempt(self, op: Op, path: str, body: bytes, timeout_s: float = 3.0) -> Answer | None:
        op.attempts += 1
        try:
            answer = await self._client.ask("POST", path, body, op.key, timeout_s)
        except NoAnswer:
            op.unknowns += 1
            return None
        if answer.status < 500 and answer.status not in _COME_BACK:
            return answer
        op.code = _code(answer)
        op.unknowns += op.code not in ("ledger-unavailable", "overloaded", "recovering", "deadline-too-short")
        return None

    async def _repeat(self, op: Op, path: str, body: bytes, before: Answer) -> None:
        """The same key must be answered with the same decision (C5)."""
        again = await self._settle(op, path, body)
        if again is None:
            return
        same = again.status == before.status and again.headers.get(b"idempotency-replayed") == b"true"
        if not same or _identity(again) != _identity(before):
            self._history.contradictions.append(f"repeat of {op.kind} {op.id}: {again.status} {again.body[:200]!r}")

    def _compare(self, op: Op, answer: Answer, kind: Kind = "reserve") -> None:
        """The answer is about this reservation and nobody else's (C8), and its units add up."""
        found = json.decode(answer.body)
        told = {line["sku"]: line["quantity"] for line in found["lines"]}
        if (found["id"], found["customer"], told) != (op.id, f"c-{op.key}", op.lines):
            self._history.contradictions.append(f"{kind} of {op.id} was answered with {answer.body[:300]!r}")
        for line in found["lines"]:
            parts = sum(line[state] for state in ("held", "committed", "fulfilled", "released", "expired"))
            if not line["quantity"] == parts == sum(a["quantity"] for a in line["allocations"]):
                self._history.contradictions.append(f"{kind} of {op.id} does not add up: {line}")

    def _note_refusal(self, op: Op, answer: Answer) -> None:
        """Only a real lack is a reason."""
        op.end("refused", _code(answer))
        faults = documents.problem(answer.body).errors if answer.status == 409 else []
        if op.code != "insufficient-availability" or not any(f.available < f.requested for f in faults):
            self._history.contradictions.append(f"reserve {op.id}: {answer.status} {answer.body[:200]!r}")
        if len(op.lines) == 1 and faults:
            op.free = faults[0].available

    # -- choices ---------------------------------------------------------------------------------------------------

    def _lines(self, plan: str) -> dict[str, int]:
        """One scarce sku, or one or two plain ones; those are not shipped, as their count would have to know."""
        if plan == "ship" or self._rng.random() < _SCARCE:
            return {self._rng.choice(SCARCE): self._rng.choices((1, 2, 3), (70, 20, 10))[0]}
        count = 2 if self._rng.random() < _BASKET else 1
        return {sku: self._rng.randint(1, 3) for sku in self._rng.sample(PLAIN, count)}

    def _key(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}"


def _code(answer: Answer) -> str:
    try:
        return documents.problem(answer.body).code
    except ValueError:  # msgspec's errors are; not our service answered
        return str(answer.status)


def _identity(answer: Answer) -> object:
    """What a repeat must not change: states may have moved on since (R18)."""
    found = json.decode(answer.body)
    return found.get("id"), [(line["sku"], line["quantity"], line["allocations"]) for line in found.get("lines", [])]
