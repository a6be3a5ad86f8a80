"""What the outbox counts: plain numbers for whoever holds them, and the process's metrics (``telemetry``)."""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct

from atp.outbox.messages import Message
from atp.telemetry import ANNOUNCE_LAG, JOURNALED, OUTBOX_ENTRIES, PUBLISH_LAG, PUBLISHED, UNJOURNALED_SECONDS, series


class Counters(Struct):
    """Of one partition, since the process started; what waits is only told by the process that holds the lease."""

    partition: int = 0
    active: bool = False  # False: another process holds the lease
    journal_reachable: bool = True
    nats_reachable: bool = True
    waiting: int = 0  # entries in the outbox, as of the last look
    waiting_since: float = 0.0  # ledger time (s) of the oldest entry not journaled; 0 when none waits
    journaled: int = 0  # entries
    published: int = 0  # events of entries
    publish_lag: int = 0  # journaled entries whose events are not acknowledged
    announced: int = 0  # availability events
    repeats: int = 0  # messages NATS had already
    fenced: int = 0  # times another process took the partition over

    @property
    def journal_lag_seconds(self) -> float:
        """How long the oldest waiting entry waits; grows while PostgreSQL is away."""
        return max(0.0, time.time() - self.waiting_since) if self.waiting_since else 0.0

    def expose(self, announce_lag_s: Callable[[], float]) -> None:
        """Let the process's gauges read these numbers whenever they are asked."""
        label = str(self.partition)
        series(ANNOUNCE_LAG, label).set_function(announce_lag_s)
        series(OUTBOX_ENTRIES, label).set_function(lambda: self.waiting)
        series(UNJOURNALED_SECONDS, label).set_function(lambda: self.journal_lag_seconds)
        series(PUBLISH_LAG, label).set_function(lambda: self.publish_lag)

    def count_journaled(self, entries: int) -> None:
        """One transaction's worth is in the journal."""
        self.journaled += entries
        self.waiting = max(0, self.waiting - entries)
        self.waiting_since = 0.0
        series(JOURNALED, str(self.partition)).inc(entries)

    def count_told(self, messages: Iterable[Message]) -> None:
        """NATS has acknowledged these."""
        for kind, count in Counter(message.type for message in messages).items():
            series(PUBLISHED, kind).inc(count)

    def stand_by(self) -> None:
        """Another process drains now; it tells what waits."""
        self.active = False
        self.waiting, self.waiting_since = 0, 0.0
