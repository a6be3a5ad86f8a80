"""Telemetry: every metric of the service in one table.

Labels come from closed sets (routes, outcomes, kinds), never from ids or skus, so the number of series is bounded
(DESIGN §8); sources are few, and bounded by who shows them. Looking a labelled series up takes a lock and a tuple of
strings; hot paths therefore ask ``series`` once per combination and keep what it returns. What every request counts is
kept in ``Counts`` and ``Timings``: a process counts in one thread, so they need no lock, and cost a tenth.
"""

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import Literal, overload

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

#: Seconds. From a batch that waited for nothing to a request that met its deadline.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: Commands or entries in one batch.
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Count:
    """One counter."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Counts(Collector):
    """A labelled counter for hot paths, of one thread. Label values must be a closed set."""

    def __init__(self, name: str, help: str, labels: list[str]) -> None:
        self._names = name, help, labels
        self._counts: dict[tuple[str, ...], Count] = {}
        REGISTRY.register(self)

    def inc(self, *labels: str, by: int = 1) -> None:
        self.of(*labels).value += by

    def of(self, *labels: str) -> Count:
        """The count of these label values, for who keeps it."""
        return self._counts.get(labels) or self._counts.setdefault(labels, Count())

    def collect(self) -> Iterator[Metric]:
        name, help, labels = self._names
        family = CounterMetricFamily(name, help, labels=labels)
        for values, count in self._counts.items():
            family.add_metric(values, count.value)
        yield family


class Timing:
    """One histogram of seconds."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.sum += seconds


class Timings(Collector):
    """A labelled histogram of seconds for hot paths, of one thread. Label values must be a closed set."""

    def __init__(self, name: str, help: str, labels: list[str]) -> None:
        self._names = name, help, labels
        self._timings: dict[tuple[str | int, ...], Timing] = {}
        REGISTRY.register(self)

    def of(self, *labels: str | int) -> Timing:
        """The histogram of these label values, for who keeps it."""
        return self._timings.get(labels) or self._timings.setdefault(labels, Timing())

    def collect(self) -> Iterator[Metric]:
        name, help, labels = self._names
        family = HistogramMetricFamily(name, help, labels=labels)
        for values, timing in self._timings.items():
            bounds = (*map(str, SECONDS), "+Inf")
            buckets = list(zip(bounds, accumulate(timing.counts), strict=True))
            family.add_metric(list(map(str, values)), buckets, timing.sum)  # pyright: ignore[reportArgumentType]
        yield family


# HTTP
REQUEST_SECONDS = Timings(
    "atp_request_seconds", "Time from the request's head to the end of its answer.", ["method", "route", "status"]
)
REQUESTS_ACTIVE = Gauge("atp_requests_active", "Requests being answered now.")
PROBLEMS = Counter("atp_problems", "Problem answers, by their code.", ["code"])
ADMISSION_LIMIT = Gauge("atp_admission_limit", "Requests that may be under way at once.")
ADMITTED_ACTIVE = Gauge("atp_admitted_active", "Requests under way, by class.", ["cls"])
ADMISSION_WAITING = Gauge("atp_admission_waiting", "Requests that wait to be begun.")
REFUSED = Counter("atp_refused", "Requests refused before their body was read, by class.", ["cls"])
DEGRADATION = Gauge("atp_degradation_step", "What is given up: 0 nothing to 6, docs/reference/overload.md.")
RESERVATIONS = Counts("atp_reservation_commands", "Decided reservation commands.", ["action", "outcome"])

# Following availability
VIEW_AGE = Gauge("atp_view_age_seconds", "Since the process's copy of availability was last brought up; 0 if unused.")
VIEW_READS = Counts("atp_view_reads", "Readings of availability, by where they came from.", ["origin"])
VIEW_RESETS = Counter("atp_view_resets", "Times that a partition's part of the copy was thrown away.")

# Ledger
BATCH_COMMANDS = Histogram("atp_batch_commands", "Commands applied together by one call of the ledger.", buckets=SIZES)
RESERVES_HINTED = Counter(
    "atp_reserves_hinted", "Reserves refused by a hint that all is sold, once the ledger knew nothing of them."
)
BATCH_SECONDS = Histogram("atp_batch_seconds", "One call of the ledger, from sending to its answer.", buckets=SECONDS)
LEDGER_ERRORS = Counter("atp_ledger_errors", "Absences of the ledger, unknown outcomes and failed scripts.", ["error"])
REPLIES_MISMATCHED = Counter("atp_ledger_replies_mismatched", "Replies to another call; each ended its connection.")
QUEUE_FILL = Gauge("atp_queue_fill", "Fill of the fullest queue in front of the ledger, 0 to 1.")
LEGS_BEHIND = Gauge("atp_legs_behind", "Baskets over several partitions whose legs had yet to follow at the last look.")
BASKETS_RESOLVED = Counter("atp_baskets_aborted", "Attempts at baskets ended because nobody else did.")

# Ingestion
STOCK_EVENTS = Counter("atp_stock_events", "Stock event lines by kind and outcome.", ["kind", "outcome"])
DEAD_LETTERS = Counter("atp_dead_letters", "Stock events set aside, by reason.", ["reason"])
STOCK_LAG_SECONDS = Histogram("atp_stock_lag_seconds", "From a source's event to its effect.", buckets=SECONDS)
SOURCE_LAG = Gauge("atp_source_lag_seconds", "How late the source's last event reached the ledger.", ["source"])
SOURCE_AGE = Gauge("atp_source_age_seconds", "Since the ledger last heard of the source.", ["source"])

# Outbox
OUTBOX_ENTRIES = Gauge("atp_outbox_entries", "Entries waiting in the outbox.", ["partition"])
UNJOURNALED_SECONDS = Gauge("atp_unjournaled_seconds", "Age of the oldest entry not yet journaled.", ["partition"])
PUBLISH_LAG = Gauge("atp_publish_lag_entries", "Journaled entries whose events are not acknowledged.", ["partition"])
ANNOUNCE_LAG = Gauge("atp_announce_lag_seconds", "How long a sku has owed its availability event.", ["partition"])
JOURNALED = Counter("atp_journaled_entries", "Entries copied to the journal.", ["partition"])
PUBLISHED = Counter("atp_published_events", "Events published on NATS.", ["type"])


@overload
def series(metric: Counter, *labels: str) -> Counter: ...
@overload
def series(metric: Gauge, *labels: str) -> Gauge: ...
@overload
def series(metric: Histogram, *labels: str) -> Histogram: ...
@cache
def series(metric: Counter | Gauge | Histogram, *labels: str) -> Counter | Gauge | Histogram:
    """The series of these label values, kept: a later call is one look-up in a dict. Values must be a closed set."""
    return metric.labels(*labels)


def exposition() -> tuple[bytes, Literal["text/plain; version=0.0.4; charset=utf-8"]]:
    """All metrics of this process in the Prometheus text format, and its media type."""
    return generate_latest(REGISTRY), "text/plain; version=0.0.4; charset=utf-8"
