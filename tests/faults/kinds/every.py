"""All faults of the table, in its order."""

from collections.abc import Callable

from tests.faults.stack import OWN, SERVERS

from .clocks import JumpClock, JumpServerClock
from .disk import DiskFull, FailingSync, PowerLoss, SlowDisk, TornTail
from .fault import Fault
from .loss import LedgerLost, RollBack
from .memory import FlushFunctions, MemoryFull
from .points import KillAt, KillRebuilder
from .processes import Freeze, Kill, TakeOver, Together
from .replica import Isolation, LostReplica, Promotion, Unreachable
from .wires import Delay, HalfOpen, Mute, Reset

#: Made anew for each test, since a fault remembers what it saw.
FAULTS: list[Callable[[], Fault]] = [
    *((lambda name=name: Kill(name)) for name in (*SERVERS, *OWN)),
    lambda: Together("kill -9 of everything at once", [Kill(name) for name in (*SERVERS, *OWN)]),
    *((lambda name=name: Freeze(name)) for name in (*SERVERS, *OWN)),
    TakeOver,
    *((lambda name=name, kind=kind: kind(name)) for kind in (Reset, HalfOpen, Mute) for name in SERVERS),
    lambda: Delay("valkey"),
    MemoryFull,
    FlushFunctions,
    lambda: SlowDisk(200),
    FailingSync,
    DiskFull,
    TornTail,
    PowerLoss,
    Promotion,
    Isolation,
    Unreachable,
    LostReplica,
    LedgerLost,
    RollBack,
    lambda: JumpClock(3_600),
    lambda: JumpClock(-3_600),
    lambda: JumpServerClock(3_600),
    lambda: JumpServerClock(-3_600),
    *((lambda name=name: KillAt(name)) for name in OWN),
    KillRebuilder,
]
