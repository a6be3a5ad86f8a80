"""Is the ledger's memory bounded? Refuses and ends reservations by the million, and watches (R18, R29).

    python -m loadtests.memory [--refusals 2000000] [--ended 1000000] [--json]

Against a Valkey of its own. The batches carry their own clock, so that hours pass in a minute: all refusals come
within ten minutes, more than are remembered; the reservations are made and released within two days, twice as long as
their tombstones live; then a day without sales. Everything is journaled at once. Exits 1 if memory is not bounded.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import cast

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from atp.bench.ledger.driving import Ledger, Server, own_server
from atp.domain.commands import Change, Release
from atp.domain.records import TOMBSTONE_MS, WHOLE_MS
from atp.domain.rules.retention import RETIRE_MAX
from atp.domain.state import REFUSED_MAX

START_MS = 4_000_000_000_000
SKUS = 1_000
BATCH = 100
REFUSALS_WITHIN_MS = 600_000
ENDED_WITHIN_MS = 2 * TOMBSTONE_MS

#: A late peak may lie this far above the plateau before it.
SPREAD = 1.1

#: Of a tombstone itself: identity, fingerprint, outcome, last changes (DESIGN §4 "Ids").
TOMBSTONE_BYTES = 80


#: Called with phase, done and total.
Told = Callable[[str, int, int], None]


@dataclass
class Sample:
    """The ledger at one moment; ``share`` is how much of its phase is done."""

    phase: str
    share: float
    hours: float  # of the batches' clock since the start
    used_memory: int
    refusals: int  # remembered
    whole: int  # records of ended reservations
    tombstones: int


@dataclass
class Verdict:
    """One thing that must hold."""

    what: str
    found: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.found <= self.limit


@dataclass
class Found:
    """What the run saw."""

    samples: list[Sample] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    bytes_per_tombstone: float = 0.0  # all that grew, with its place in hash and queue, divided by their number

    @property
    def ok(self) -> bool:
        return all(verdict.ok for verdict in self.verdicts)


class Run:
    """One ledger and its clock."""

    def __init__(self, server: Server, told: Told, namespace: str) -> None:
        self.server, self.told = server, told
        self.ledger = Ledger(server, namespace, 1, BATCH)
        self.redis, self.now = server.redis, START_MS
        self.redis.hset(self.ledger.key("meta"), mapping={"last_now": START_MS, "refused_since": START_MS})
        self.ledger.fill(SKUS)
        self.found = Found()

    def refuse(self, count: int) -> None:
        """``count`` different baskets that nobody could grant."""
        step = REFUSALS_WITHIN_MS * BATCH / max(count, 1)
        for done in self._steps("refused", count, step):
            self.ledger.send(self.ledger.reserves(min(BATCH, count - done), SKUS, quantity=10**9), self.now)

    def end(self, count: int) -> None:
        """``count`` reservations, made and released."""
        step = ENDED_WITHIN_MS * BATCH / max(count, 1)
        for done in self._steps("ended", count, step):
            made = list(self.ledger.reserves(min(BATCH, count - done), SKUS))
            self.ledger.send(made, self.now)
            self.ledger.send((Release(r.id, Change(n, 1), "held", []) for n, r in enumerate(made)), self.now)

    def rest(self, count: int) -> None:
        """A day and more in which only time passes: the sweeper's empty batches."""
        self.now += TOMBSTONE_MS + WHOLE_MS
        for done in self._steps("at rest", (count + 2 * BATCH) // RETIRE_MAX + 4, 100, size=1):
            self.ledger.empty(self.now)
            if done % 100 == 0:
                self.ledger.trim()

    def tombstone_bytes(self) -> float:
        """Field and value of one, the mean of some."""
        items = cast(list[bytes], self.redis.lrange(self.ledger.key("buried"), 0, 999))
        identities = [msgspec.msgpack.decode(item)[2].encode() for item in items]
        values = cast(list[bytes], self.redis.hmget(self.ledger.key("res"), identities)) if identities else []
        return fmean(len(i) + len(v) for i, v in zip(identities, values, strict=True)) if identities else 0.0

    def _steps(self, phase: str, count: int, step_ms: float, size: int = BATCH) -> Iterator[int]:
        """Offsets of the batches, with the clock moved by each, and about 200 samples."""
        begun, every = self.now, max(size, count // 200 // size * size)
        for done in range(0, count, size):
            self.now = begun + round(step_ms * (done // size))
            yield done
            self.told(phase, min(done + size, count), count)
            if done % every == 0 or done + size >= count:
                self.found.samples.append(self._sample(phase, min(1.0, (done + size) / count)))

    def _sample(self, phase: str, share: float) -> Sample:
        pipe = self.redis.pipeline(transaction=False)
        for generation in self._generations():
            pipe.hlen(generation)
        refusals = sum(pipe.execute())
        records = cast(int, self.redis.hlen(self.ledger.key("res")))
        tombstones = cast(int, self.redis.llen(self.ledger.key("buried")))
        hours = (self.now - START_MS) / 3_600_000
        return Sample(phase, share, hours, self.server.memory(), refusals, records - tombstones, tombstones)

    def _generations(self) -> list[str]:
        newest = int(cast(bytes, self.redis.hget(self.ledger.key("meta"), "refused_gen")))
        return [self.ledger.key(f"refused:{generation}") for generation in (newest - 1, newest)]


def measure(server: Server, refusals: int, ended: int, told: Told, namespace: str = "memory") -> Found:
    """The whole run, and what it proves."""
    run = Run(server, told, namespace)
    empty = server.memory()
    run.refuse(refusals)
    run.end(ended)
    found = run.found
    each, tombstones, weight = run.tombstone_bytes(), _most(found, "ended", "tombstones"), server.memory() - empty
    run.rest(ended)
    per_minute = refusals * 60_000 / REFUSALS_WITHIN_MS
    per_ms = ended / ENDED_WITHIN_MS
    found.verdicts = [
        Verdict("refusals remembered", _most(found, "refused", "refusals"),
                min(2 * REFUSED_MAX, 2 * per_minute) + 2 * BATCH),
        Verdict("whole records of ended reservations", _most(found, "ended", "whole"),
                per_ms * WHOLE_MS + 2 * BATCH),
        Verdict("tombstones", _most(found, "ended", "tombstones"), per_ms * TOMBSTONE_MS + 2 * BATCH),
        Verdict("bytes of a tombstone", each, TOMBSTONE_BYTES),
        _plateau(found, "refused", warm=0.25),
        _plateau(found, "ended", warm=0.5),
        Verdict("records left after a day at rest", _last(found).whole + _last(found).tombstones, 0),
    ]  # fmt: skip
    found.bytes_per_tombstone = weight / tombstones if tombstones else 0.0
    return found


def _most(found: Found, phase: str, name: str) -> int:
    return max((getattr(sample, name) for sample in found.samples if sample.phase == phase), default=0)


def _last(found: Found) -> Sample:
    return found.samples[-1]


def _plateau(found: Found, phase: str, warm: float) -> Verdict:
    """The peak of the later half behind the warm-up, beside that of the half before."""
    samples = [sample for sample in found.samples if sample.phase == phase and sample.share >= warm]
    middle = (1 + warm) / 2
    before = max((s.used_memory for s in samples if s.share < middle), default=0)
    after = max((s.used_memory for s in samples if s.share >= middle), default=0)
    return Verdict(f"MB used while {phase}, late peak beside the plateau", after / 1e6, before * SPREAD / 1e6)


def show(found: Found) -> None:
    """A table over time, and the verdict."""
    console = Console()
    table = Table(title="the ledger over time")
    table.add_column("phase")
    for heading in ("done", "hours", "MB used", "refusals", "whole", "tombstones"):
        table.add_column(heading, justify="right", no_wrap=True)
    for part in _phases(found):
        for sample in [*part[: -1 : max(1, len(part) // 8)], part[-1]]:
            table.add_row(
                sample.phase, f"{sample.share:.0%}", f"{sample.hours:.1f}", f"{sample.used_memory / 1e6:.1f}",
                f"{sample.refusals:,}", f"{sample.whole:,}", f"{sample.tombstones:,}",
            )  # fmt: skip
        table.add_section()
    console.print(table)
    for verdict in found.verdicts:
        mark = "[green]ok[/green]  " if verdict.ok else "[red]FAIL[/red]"
        console.print(f"{mark} {verdict.what}: {verdict.found:,.1f}, at most {verdict.limit:,.1f}", highlight=False)
    console.print(f"{found.bytes_per_tombstone:.0f} bytes of the server's memory per tombstone", highlight=False)
    console.print("[green]memory is bounded[/green]" if found.ok else "[red]memory is NOT bounded[/red]")


def _phases(found: Found) -> list[list[Sample]]:
    names = dict.fromkeys(sample.phase for sample in found.samples)
    return [[sample for sample in found.samples if sample.phase == name] for name in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refusals", type=int, default=2_000_000)
    parser.add_argument("--ended", type=int, default=1_000_000, help="reservations made and released")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    columns = TextColumn("{task.description:>8}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with own_server() as server, Progress(*columns, console=Console(stderr=True)) as progress:
        bars = {name: progress.add_task(name, total=None, start=False) for name in ("refused", "ended", "at rest")}

        def told(phase: str, done: int, total: int) -> None:
            progress.start_task(bars[phase])
            progress.update(bars[phase], completed=done, total=total)

        found = measure(server, options.refusals, options.ended, told)
    if options.json:
        verdicts = [{**asdict(verdict), "ok": verdict.ok} for verdict in found.verdicts]
        print(json.dumps({"ok": found.ok, "verdicts": verdicts, "samples": [asdict(s) for s in found.samples],
                          "bytes_per_tombstone": found.bytes_per_tombstone}))  # fmt: skip
    else:
        show(found)
    return 0 if found.ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
