"""What the consumer counts: plain numbers for whoever holds it, and the process's metrics (``telemetry``)."""

from collections import Counter

from msgspec import Struct, field

from atp.ingest.reasons import Reason
from atp.telemetry import DEAD_LETTERS, STOCK_EVENTS, STOCK_LAG_SECONDS, series


class Counters(Struct):
    """Since the process started; a message that is read again counts again."""

    messages: int = 0
    events: Counter[str] = field(default_factory=Counter)  # outcome in lower case → lines
    dead_letters: Counter[str] = field(default_factory=Counter)  # reason → messages
    heartbeats: int = 0
    touches: int = 0  # of positions that somebody has to fetch
    restarts: int = 0  # times the pull consumer was made anew
    ledger_retries: int = 0
    unresolved: int = 0  # levels of which the journal could not say what they are net of
    missed: int = 0  # messages that left the stream before they were read
    active: bool = False  # False: another process holds the lease
    position: int = 0  # stream sequence up to which the ledger has settled everything
    lag_messages: int = 0
    lag_seconds: float = 0.0  # age of the last message when it was settled

    def count_events(self, kind: str, outcome: str, lines: int) -> None:
        """Lines of one kind with one outcome, once per batch."""
        self.events[outcome] += lines
        series(STOCK_EVENTS, kind, outcome).inc(lines)

    def count_dead_letter(self, reason: Reason) -> None:
        """A message is set aside."""
        self.dead_letters[reason.value] += 1
        series(DEAD_LETTERS, reason.value).inc()

    def settled(self, position: int, pending: int, lag_seconds: float) -> None:
        """The ledger has the cursor at ``position``, ``lag_seconds`` after the stream took that message."""
        self.position = position
        self.lag_messages = pending
        self.lag_seconds = lag_seconds
        STOCK_LAG_SECONDS.observe(lag_seconds)
