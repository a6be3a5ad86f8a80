"""How gently and how patiently a check works."""

from msgspec import Struct


class Settings(Struct, frozen=True):
    """Times in seconds."""

    page: int = 256  # records looked at in one call
    chunk: int = 200  # counters read together when they are settled
    save_every_s: float = 2.0  # how much of its way a killed check goes again, about
    dead_after_s: float = 15.0  # a run nobody has said anything of for so long is taken over
    look_every_s: float = 2.0  # how often a process that may run checks asks for one
    lag_max_s: float = 30.0  # how long it waits for the journal to reach what it looked at
    rounds: int = 4  # looks at what changed each time it was looked at
