"""Goodput, refusals and payments of one API process under overload, in one run with its own peak (R25).

    python -m loadtests.overload [--seconds 10] [--connections 256] [--skus 1000] [--rows NAME …] [--json]

The peak is a closed loop of ``--connections``, which is no overload. Then, each with payments on a P0 process beside
it: three and ten times the callers that come back when Retry-After says, three times with five retries at once, a
steady rate 1.2 times the peak's, and more than can be read. Callers share the machine with the service: ratios count.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from msgspec import json

from atp.dev.ports import free_port
from atp.dev.stack import DevStack
from loadtests.http.making import stock
from loadtests.overload.payments import hold
from loadtests.overload.rows import AFTER_S, PAYMENTS_PER_S, RECOVERED_S, Bench, Row, Shown, play

PEAK = Row("peak", 0.0)

ROWS = (
    Row("half", 0.0, times=2, rate=0.5),
    Row("3x", 0.95, times=3),
    Row("10x", 0.90, times=10),
    Row("3x-impatient", 0.80, times=3, retries=5),
    Row("open-1.2", 0.80, times=4, rate=1.2),
    Row("flood", 0.90, times=3, obey=False, depth=8),
)


async def measure(options: argparse.Namespace) -> list[Shown]:
    """The peak before and after, and the rows between."""
    rows = [row for row in ROWS if not options.rows or row.name in options.rows]
    p0 = free_port()
    with tempfile.TemporaryDirectory(prefix="atp-overload-") as folder:
        async with DevStack(Path(folder), p0_port=p0, say=lambda _: None) as endpoints:
            await stock(endpoints, options.skus)
            pid = int((Path(folder) / "run" / "api-1.pid").read_text())
            bench = Bench(
                endpoints.api, f"http://127.0.0.1:{p0}", endpoints.api_key, pid, options.skus, options.connections,
                options.seconds, options.processes,
            )  # fmt: skip
            each = int((options.seconds + AFTER_S + 5) * PAYMENTS_PER_S)
            holds = await hold(endpoints.api, endpoints.api_key, "SKU-0", each * (len(rows) + 1))
            first = await play(PEAK, bench, 0.0, holds)
            print(line(first, first), flush=True) if not options.json else None
            found = [first]
            for row in rows:
                found.append(await play(row, bench, first.goodput, holds))
                print(line(found[-1], first), flush=True) if not options.json else None
    return found


def line(s: Shown, peak: Shown) -> str:
    """A row for people: figures, and what of the bars it missed."""
    missed = [
        name
        for name, wrong in (
            ("goodput", s.goodput < s.bar * peak.goodput),
            ("p99", bool(s.bar) and not s.ahead and s.p99_ms > 2 * peak.p99_ms),
            ("payments", s.paid < 0.999 * s.payments),
            ("recovery", bool(s.bar) and (s.recovered_s is None or s.recovered_s > RECOVERED_S)),
        )
        if wrong
    ]
    back = "never" if s.recovered_s is None else f"{s.recovered_s:.2f} s"
    return "  ".join((
        f"{s.name:12}{s.goodput:7,.0f}/s = {s.goodput / peak.goodput:.2f} (bar {s.bar:.2f})",
        f"p50 {s.p50_ms:.0f} p99 {s.p99_ms:.0f} ms = {s.p99_ms / peak.p99_ms:.1f}x",
        f"refused {s.refused:,.0f}/s p99 {s.refused_p99_ms:.0f} ms",
        f"payments {s.paid}/{s.payments} p99 {s.payments_p99_ms:.0f} ms {s.failures or ''}",
        f"back {back}" if s.bar else "",
        f"rss {s.rss_mb[0]:.0f}..{s.rss_mb[1]:.0f} MB",
        f"others {s.others or 0} broken {s.broken} missed {s.missed} load {s.load:.0f}",
        f"MISSED: {', '.join(missed)}" if missed else "ok",
    ))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--skus", type=int, default=1_000)
    parser.add_argument("--processes", type=int, default=2, help="of callers")
    parser.add_argument("--rows", nargs="*", choices=[row.name for row in ROWS])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(measure(options))
    if options.json:
        print(json.encode(found).decode())


if __name__ == "__main__":
    main()
