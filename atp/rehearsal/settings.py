"""What is rehearsed, with the bounds of each figure."""

from pathlib import Path

from msgspec import Struct

#: Every visit is remembered until the checks, about 2 KB each.
BUYERS_MAX = 200_000
SECONDS_MAX = 3_600
WINDOW_MAX = 86_400
#: How long a sale is that is made up.
WINDOW_S = 600.0


class Settings(Struct, frozen=True):
    """A sale of ``window_seconds`` played in ``seconds``; shares are of all buyers."""

    buyers: int = 5_000
    seconds: float = 20.0
    window_seconds: float = 0.0  # 0: ``WINDOW_S``, or as long as what was recorded
    seed: int = 1
    conversion: float = 0.7  # of those who hold units and are no bots: the rest releases or just leaves
    bots: float = 0.05
    recording: Path | None = None  # plays these requests instead of making some
    replayed: str = ""  # or the sales of this campaign, as the journal has them
    worker_rate: int = 2_000  # requests a second that one API process is counted on for

    @property
    def speed(self) -> float:
        """Seconds of the sale in one second of the rehearsal."""
        return self.window_seconds / self.seconds
