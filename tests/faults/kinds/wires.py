"""Networks between the service and its servers."""

from random import Random

from tests.faults.stack import Stack

from .fault import Fault


class Delay(Fault):
    """Every byte comes a little later, each way."""

    def __init__(self, name: str, delay_s: float = 0.1) -> None:
        super().__init__(f"{name} {delay_s * 1000:.0f} ms away")
        self._who, self._delay_s = name, delay_s

    async def inject(self, stack: Stack, rng: Random) -> None:
        stack.wires[self._who].delay_s = self._delay_s

    async def heal(self, stack: Stack) -> None:
        stack.wires[self._who].delay_s = 0.0


class Reset(Fault):
    """All connections are reset, again and again while it lasts."""

    lasts_s = (0.0, 0.2)

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} connections reset")
        self._who = name

    async def inject(self, stack: Stack, rng: Random) -> None:
        stack.wires[self._who].reset()

    async def heal(self, stack: Stack) -> None:
        stack.wires[self._who].reset()


class HalfOpen(Fault):
    """Nothing passes and nobody is told; in the end it all arrives, late."""

    lasts_s = (0.2, 2.5)

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} half open")
        self._who = name

    async def inject(self, stack: Stack, rng: Random) -> None:
        stack.wires[self._who].open.clear()

    async def heal(self, stack: Stack) -> None:
        stack.wires[self._who].open.set()


class Mute(Fault):
    """The server hears and does, and nobody hears its answers; then they are lost with their connections."""

    lasts_s = (0.2, 2.0)

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} answers lost")
        self._who = name

    async def inject(self, stack: Stack, rng: Random) -> None:
        stack.wires[self._who].hearing.clear()

    async def heal(self, stack: Stack) -> None:
        stack.wires[self._who].reset()
        stack.wires[self._who].hearing.set()
