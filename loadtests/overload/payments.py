"""Payments: who confirms and releases what was held while everybody else reserves."""

import asyncio
import time
from itertools import count

import httpx
from msgspec import Struct

#: A payment waits no longer for its answer.
ANSWER_S = 2.0


class Paid(Struct):
    """What became of them."""

    asked: int = 0
    done: int = 0
    took_ms: list[float] = []
    failures: dict[str, int] = {}


async def pay(api: str, key: str, ids: list[str], per_second: float, stop: asyncio.Event) -> Paid:
    """Confirm and release in turns at an even pace until ``stop``; every call counts once, without another try."""
    paid, numbers = Paid(), count()
    headers = {"authorization": f"Bearer {key}"}
    tasks: set[asyncio.Task[None]] = set()
    async with httpx.AsyncClient(base_url=api, headers=headers, timeout=ANSWER_S) as http:

        async def one(id: str, number: int) -> None:
            paid.asked += 1
            began = time.monotonic()
            action = "confirm" if number % 2 else "release"
            try:
                answer = await http.post(
                    f"/v1/reservations/{id}/{action}", headers={"idempotency-key": f"{id}-{action}"}
                )
                what = "" if answer.status_code == 200 else answer.json()["type"].rsplit(":", 1)[-1]
            except httpx.HTTPError as error:
                what = type(error).__name__
            if what:
                paid.failures[what] = paid.failures.get(what, 0) + 1
            else:
                paid.done += 1
                paid.took_ms.append((time.monotonic() - began) * 1000)

        while ids and not stop.is_set():
            task = asyncio.create_task(one(ids.pop(), next(numbers)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(1 / per_second)
        await asyncio.gather(*tasks)
    return paid
