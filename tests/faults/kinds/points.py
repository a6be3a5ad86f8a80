"""kill -9 at named points of the code: between two steps that belong together."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from random import Random

from tests.faults.checkers.violation import Violation
from tests.faults.plants.points import POINTS, flag
from tests.faults.stack import OWN, Stack
from tests.support import NeverCame, wait_until_async

from .fault import Fault
from .loss import JOURNALED, LedgerLost

_REACHED_S = 30.0


class KillAt(Fault):
    """Whoever passes a point next dies there, and is started again; the next time it is the next point."""

    lasts_s = (0.0, 0.3)

    def __init__(self, process: str) -> None:
        points = [point for point in POINTS if point.process == process]
        super().__init__(f"kill -9 {process or 'of a rebuild'} at {len(points)} named points")
        self._points = cycle(points)
        self._died = ""

    def plants(self, folder: Path) -> Mapping[str, str]:
        return dict.fromkeys(OWN, f"points={folder}")

    async def inject(self, stack: Stack, rng: Random) -> None:
        names = {stack.pid(name): name for name in OWN}
        point = next(self._points)
        armed = flag(stack.path, point)
        told = armed.with_suffix(".pid")
        told.unlink(missing_ok=True)
        armed.touch()
        await self._lead_there(stack)
        self._died = ""
        try:
            await wait_until_async(lambda: told.exists() and told.read_text(), _REACHED_S, point.name)
            self._died = names[int(told.read_text())]
        except NeverCame as never:
            armed.unlink(missing_ok=True)
            self.found.append(Violation("F1", "wrong", f"nobody passed: {never}"))

    async def heal(self, stack: Stack) -> None:
        if self._died:
            await stack.up(self._died)

    async def _lead_there(self, stack: Stack) -> None:
        """The sale does."""


class KillRebuilder(KillAt):
    """The ledger is lost, and whoever makes it anew dies between two steps: another process begins anew."""

    config = JOURNALED

    def __init__(self) -> None:
        super().__init__("")

    async def _lead_there(self, stack: Stack) -> None:
        lost = LedgerLost()
        await lost.inject(stack, Random(0))
        await lost.heal(stack)
