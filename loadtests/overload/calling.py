"""Calling: a plan divided among processes of callers, and together what they saw."""

import asyncio
import subprocess
import sys
from pathlib import Path

from msgspec import json, structs

from loadtests.overload.callers import Plan, Seen

_ROOT = Path(__file__).parents[2]


async def called(plan: Plan, processes: int) -> Seen:
    """Raises SystemExit with its words when one of them fails."""
    share = structs.replace(plan, connections=plan.connections // processes, rate=plan.rate / processes)
    command = [sys.executable, "-m", "loadtests.overload.callers"]

    def one() -> Seen:
        timeout = plan.warm_s + plan.seconds + 60
        done = subprocess.run(command, input=json.encode(share), capture_output=True, cwd=_ROOT, timeout=timeout)
        if done.returncode:
            raise SystemExit(done.stderr.decode())
        return json.decode(done.stdout, type=Seen)

    return together(await asyncio.gather(*(asyncio.to_thread(one) for _ in range(processes))))


def together(all: list[Seen]) -> Seen:
    """The sum of what several processes saw."""
    whole = Seen()
    for seen in all:
        for status, count in seen.statuses.items():
            whole.statuses[status] = whole.statuses.get(status, 0) + count
        whole.good_ms += seen.good_ms
        whole.refused_ms += seen.refused_ms
        whole.broken += seen.broken
        whole.missed += seen.missed
        whole.cpu_s += seen.cpu_s
    longest = max(len(seen.windows) for seen in all)
    whole.windows = [sum(seen.windows[i] for seen in all if i < len(seen.windows)) for i in range(longest)]
    return whole


def back_after(windows: list[int], peak: float) -> float | None:
    """Seconds until a quarter of a second was as good as nine tenths of the peak's; None if none was."""
    for index, good in enumerate(windows):
        if good * 4 >= 0.9 * peak:
            return index / 4
    return None


def percentile(times: list[float], part: int) -> float:
    """0 of no times."""
    return sorted(times)[len(times) * part // 100] if times else 0.0
