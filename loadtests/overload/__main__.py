"""Goodput, refusals and payments of one API process under overload, each row between two peaks of its own (R25).

    python -m loadtests.overload [--seconds 10] [--connections 256] [--skus 1000] [--rows NAME …] [--json]

The peak is a closed loop of ``--connections``, which is no overload. Then, each with payments on a P0 process beside
it: three and ten times the callers that come back when Retry-After says, three times with five retries at once, a
steady rate 1.2 times the peak's, more than can be read, and one client at fifty times its quota beside a steady half
of the peak. Every bar is named with its figure. Callers share the machine with the service: what they took is said,
and a row beside which others had more than a tenth of the machine, or whose peaks differ by more than 15 %, is no
measurement. Ends with 1 if a bar was missed, except with --json.
"""

import argparse
import asyncio
import signal

from msgspec import json

from loadtests.overload.bars import DRIFT, OTHERS
from loadtests.overload.rows import Peak, Shown
from loadtests.overload.run import NAMES, Options, measure


def text(found: Peak | Shown) -> str:
    """A peak or a row for people."""
    if isinstance(found, Peak):
        return (
            f"peak: {found.goodput:,.0f}/s, p50 {found.p50_ms:.0f} ms, p99 {found.p99_ms:.0f} ms, refused "
            f"{found.refused:.0f}/s (there should be none), {sum(found.us.values()):.0f} µs CPU of all processes each"
        )
    cores = ", ".join(f"{name} {used:.2f}" for name, used in found.cores.items() if used >= 0.01)
    spent = ", ".join(f"{name} {us:.0f} ({found.peak.us[name]:.0f})" for name, us in found.us.items() if us >= 1)
    lines = [
        f"{found.name}: {found.goodput:,.0f}/s beside a peak of {found.peak.goodput:,.0f}/s",
        *(f"    {bar}" for bar in found.bars),
        f"    by CPU of all processes: {found.by_cpu:.2f} of the peak; µs a reservation (at the peak): {spent}",
        f"    p50 {found.p50_ms:.0f} p99 {found.p99_ms:.0f} ms; refused {found.refused:,.0f}/s, p99 "
        f"{found.refused_p99_ms:.0f} ms; payments p99 {found.payments_p99_ms:.0f} ms {found.failures or ''}",
        f"    answers {found.statuses}, broken {found.broken}, not sent {found.missed}, "
        f"rss {found.rss_mb[0]:.0f} and {found.rss_mb[1]:.0f} MB",
        f"    cores: {cores}; others {found.others:.0%} of the machine, load {found.load:.1f}, "
        f"peaks {found.drift:.0%} apart",
    ]
    if not found.judgeable:
        lines.append(
            f"    NO MEASUREMENT: others had more than {OTHERS:.0%} of the machine, or peaks are {DRIFT:.0%} apart"
        )
    return "\n".join(lines)


def _say(found: Peak | Shown) -> None:
    print(text(found), flush=True)


def _quiet(found: Peak | Shown) -> None:
    """All is printed at the end."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Options()
    parser.add_argument("--seconds", type=float, default=default.seconds)
    parser.add_argument("--connections", type=int, default=default.connections)
    parser.add_argument("--skus", type=int, default=default.skus)
    parser.add_argument("--processes", type=int, default=default.processes, help="of callers")
    parser.add_argument("--rows", nargs="*", choices=NAMES)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    options = Options(given.seconds, given.connections, given.skus, given.processes, tuple(given.rows or ()))
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # which asyncio knows how to end by
    try:
        found = asyncio.run(measure(options, _quiet if given.json else _say))
    except KeyboardInterrupt:
        return 130
    if given.json:
        print(json.encode(found).decode())
    return 0 if found.met or given.json else 1


if __name__ == "__main__":
    raise SystemExit(main())
