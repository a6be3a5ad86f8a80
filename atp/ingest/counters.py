"""What the consumer counts, as plain numbers that telemetry reads when it is asked."""

from collections import Counter

from msgspec import Struct, field


class Counters(Struct):
    """Since the process started; a message that is read again counts again."""

    messages: int = 0
    events: Counter[str] = field(default_factory=Counter)  # outcome in lower case → lines
    dead_letters: Counter[str] = field(default_factory=Counter)  # reason → messages
    heartbeats: int = 0
    restarts: int = 0  # times the pull consumer was made anew
    ledger_retries: int = 0
    missed: int = 0  # messages that left the stream before they were read
    active: bool = False  # False: another process holds the lease
    position: int = 0  # stream sequence up to which the ledger has settled everything
    lag_messages: int = 0
    lag_seconds: float = 0.0  # age of the last message when it was settled
