"""Control: looks ten times a second how the process does, and sets gate and ladder by it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from statistics import median

import structlog
from msgspec import structs

from atp.api.admission import memory
from atp.api.admission.classes import Class
from atp.api.admission.comeback import Comeback
from atp.api.admission.gate import Counts, Gate
from atp.api.admission.ladder import Ladder, Signals, Step, closed, pressure, state
from atp.api.admission.limit import Limit
from atp.api.admission.settings import AdmissionSettings
from atp.ledger.gauges import Gauges
from atp.telemetry import ADMISSION_LIMIT, ADMISSION_WAITING, ADMITTED_ACTIVE, DEGRADATION, REFUSED, series

log = structlog.get_logger("atp.api")

INTERVAL_S = 0.1

#: Looks that a median and a sum cover.
_SECOND = 10

_SMOOTHING = 0.3


class Control:
    """The gate of a process, and who sets it."""

    def __init__(
        self, settings: AdmissionSettings, ledger: Gauges, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.gate = Gate(settings, clock)
        self.gate.reconsider = self._reconsider
        self.comeback = Comeback(settings.comeback_share)
        self.step = Step.NORMAL
        DEGRADATION.set(self.step)
        self._ledger = ledger
        self._clock = clock
        self._limit = Limit(settings.answer_target_ms, settings.slots_min, settings.slots_max)
        self._ladder = Ladder(settings.descend_s)
        self._lags: deque[float] = deque(maxlen=_SECOND)
        self._batches: deque[float] = deque(maxlen=_SECOND)
        self._counts: deque[Counts] = deque(maxlen=_SECOND)
        self._signals = Signals()
        self._memory = 0.0
        self._looks = 0
        self._looked_at = clock()
        self._memory_max = settings.memory_max_bytes or memory.available()
        self._show(Counts())

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            before = self._clock()
            await asyncio.sleep(INTERVAL_S)
            self.look(max(0.0, self._clock() - before - INTERVAL_S))

    def look(self, lag_s: float = 0.0) -> None:
        """Measure, and set gate and ladder. ``lag_s`` is how late the event loop comes to its timers."""
        now = self._clock()
        counts, self.gate.counts = self.gate.counts, Counts()
        self._counts.append(counts)
        self._lags.append(lag_s)
        self._batches.append(0.0 if self._ledger.away else self._ledger.batch_s)  # away is a state, which ends at once
        self._measure(counts, now)
        self._signals = self._signals_of(counts)
        self._climb(self._signals, now)
        self._set()
        self._show(counts)

    def _reconsider(self) -> None:
        """Only what ends at once: the ledger answers again."""
        self._signals = structs.replace(self._signals, away=self._ledger.away, recovering=self._ledger.recovering)
        self._set()

    def _set(self) -> None:
        """What is only remembered of a step leaves few slots: a single request is answered, a crowd would not be."""
        shut = closed(pressure(self._signals)[0], self._signals)
        remembered = closed(self._ladder.pressed, self._signals).keys() - shut.keys()
        self.gate.resize(self._limit.value, shut, remembered)

    def _measure(self, counts: Counts, now: float) -> None:
        """The limit, what answers take, how many there are, and when to come back."""
        gate, seconds = self.gate, counts.seconds
        passed = max(now - self._looked_at, 1e-9)
        self._looked_at = now
        gate.drain += _SMOOTHING * (len(seconds) / passed - gate.drain)
        lasts = any(any(each.refused) for each in self._counts)
        self.comeback.look(sum(counts.refused), gate.waiting, gate.drain, passed, lasts=lasts)
        self._limit.update(seconds, gate.waiting + sum(gate.taken[: Class.P3]))
        gate.p50_s = self._limit.p50_s

    def _signals_of(self, counts: Counts) -> Signals:
        if self._looks % _SECOND == 0:
            self._memory = memory.used() / self._memory_max
        self._looks += 1
        return Signals(
            lag_s=_lasting(self._lags),
            batch_s=_lasting(self._batches),
            memory=self._memory,
            outbox=self._ledger.outbox_fill,
            waited=bool(counts.waited[Class.P1]),
            crowded=any(each.crowded[Class.P1] for each in self._counts),
            p0_crowded=any(each.crowded[Class.P0] for each in self._counts),
            away=self._ledger.away,
            recovering=self._ledger.recovering,
        )

    def _climb(self, signals: Signals, now: float) -> None:
        asked, why = pressure(signals)
        pressed = self._ladder.update(asked, now)
        lasting, because = state(signals)
        step = max(pressed, lasting)
        if step != self.step:
            log.warning(
                "degradation", step=int(step), name=step.name.lower(), before=int(self.step),
                reason=because if lasting == step else why or "eased",
            )  # fmt: skip
            self.step = step
            DEGRADATION.set(step)

    def _show(self, counts: Counts) -> None:
        gate = self.gate
        ADMISSION_LIMIT.set(gate.limit)
        ADMISSION_WAITING.set(gate.waiting)
        for cls in Class:
            name = cls.name.lower()
            series(ADMITTED_ACTIVE, name).set(gate.taken[cls])
            if counts.refused[cls]:
                series(REFUSED, name).inc(counts.refused[cls])


def _lasting(looks: deque[float]) -> float:
    """The median of a whole second; 0 before there was one, since one late look says nothing."""
    return median(looks) if len(looks) == _SECOND else 0.0
