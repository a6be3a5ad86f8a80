"""Entry: what the door asks of admission for one request, apart from the usual case of a free slot."""

import time
from collections.abc import Mapping
from typing import Protocol

from atp.api.admission.classes import Class
from atp.api.admission.gate import Gate
from atp.api.problems import DEADLINE_TOO_SHORT, Kind

#: The caller's remaining deadline in ms.
DEADLINE = b"x-request-timeout-ms"


class Clients(Protocol):
    """Who knows callers by their headers, without asking anybody."""

    def known(self, headers: dict[bytes, bytes]) -> str: ...


async def queue(gate: Gate, cls: Class, clients: Clients, headers: dict[bytes, bytes], state: dict) -> Kind | None:
    """Take a slot now or after a while: None when it was taken, else why the request is refused.

    What was waited is left in ``state`` for whoever measures the caller's deadline later.
    """
    remaining = remaining_s(headers)
    if remaining and remaining < gate.p50_s:
        gate.counts.refused[cls] += 1
        return DEADLINE_TOO_SHORT
    if gate.enter(cls):
        return None
    since = time.perf_counter()
    kind = await gate.wait(cls, clients.known(headers), remaining)
    state["waited_s"] = time.perf_counter() - since
    return kind


def remaining_s(headers: Mapping[bytes, bytes]) -> float:
    """What the caller says it still waits; 0 if it does not, or says it in a way that its route will refuse."""
    given = headers.get(DEADLINE, b"")
    return int(given) / 1000 if given.isdigit() and len(given) < 10 else 0.0
