"""How large the promotion is, with the bounds of each figure."""

from pathlib import Path

from msgspec import Struct

#: Every reservation is remembered until the checks, about 1 KB each: these keep a run in memory and in minutes.
SECONDS_MAX = 600
SKUS_MAX = 50_000
UNITS_MAX = 100_000_000
BUYERS_MAX = 512


class Settings(Struct, frozen=True):
    """The defaults end within a minute on two cores, start of all servers included."""

    state_dir: Path | None = None  # None: a temporary one, removed at the end
    seconds: float = 20.0  # of sale
    skus: int = 2_000
    units: int = 60_000  # for sale at the opening; receipts come on top
    buyers: int = 64
    seed: int = 1
    port: int = 0  # of the API, when it is started here
