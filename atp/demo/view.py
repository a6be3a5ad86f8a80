"""The live sale: a screenful on a terminal, a line every two seconds elsewhere, nothing when only JSON is wanted."""

import asyncio
import time
from collections import deque
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from atp.demo.retailer import Item
from atp.demo.tally import Tally, quantile
from atp.demo.watch import Sight

_FRAMES_S = 0.25
_LINES_S = 2.0
_RATE_OVER_S = 2.0
_NAMES, _VALUES, _BAR = 11, 16, 20  # fits a terminal of 80 columns


class View(Protocol):
    """What a run tells people while it goes."""

    def say(self, text: str) -> None: ...

    async def follow(self, seconds: float, tally: Tally, sight: Sight, hot: list[Item]) -> None: ...


class Silence:
    """Nothing is said."""

    def say(self, text: str) -> None:
        pass

    async def follow(self, seconds: float, tally: Tally, sight: Sight, hot: list[Item]) -> None:
        await asyncio.Event().wait()


class Lines:
    """For logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    async def follow(self, seconds: float, tally: Tally, sight: Sight, hot: list[Item]) -> None:
        """Until cancelled."""
        rate = Rate(tally)
        while True:
            await asyncio.sleep(_LINES_S)
            elapsed = time.monotonic() - tally.started
            done = tally.done
            self.say(
                f"{elapsed:5.1f} s  {rate.now():6,.0f} reserves/s  reserved {done['reserved']:,}  "
                f"confirmed {done['confirmed']:,}  refused {tally.refusals.total():,}  "
                f"p99 {quantile(tally.recent, 0.99):.1f} ms  ingest lag {_known(sight.ingest_lag)}  "
                f"journal lag {_known(sight.journal_lag)}{_came_back(sight)}"
            )


class Screen:
    """For people at a terminal: redrawn in place four times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.print(Text(text, style="dim"))

    async def follow(self, seconds: float, tally: Tally, sight: Sight, hot: list[Item]) -> None:
        """Until cancelled."""
        rate = Rate(tally)
        opening = {item.sku: max(1, sum(item.opening.values())) for item in hot}
        with Live(console=self._console, auto_refresh=False) as live:
            try:
                while True:
                    live.update(_frame(seconds, tally, sight, opening, rate.now()), refresh=True)
                    await asyncio.sleep(_FRAMES_S)
            finally:
                live.update(_frame(seconds, tally, sight, opening, rate.now()), refresh=True)


class Rate:
    """Reservations a second over the last two seconds."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), tally.done["reserved"])])

    def now(self) -> float:
        """The rate at this moment."""
        at, count = time.monotonic(), self._tally.done["reserved"]
        self._marks.append((at, count))
        while len(self._marks) > 2 and at - self._marks[1][0] > _RATE_OVER_S:
            self._marks.popleft()
        since, before = self._marks[0]
        return (count - before) / (at - since) if at > since else 0.0


def _frame(seconds: float, tally: Tally, sight: Sight, opening: dict[str, int], rate: float) -> RenderableType:
    elapsed = min(seconds, time.monotonic() - tally.started)
    done = tally.done
    left = Table.grid(padding=(0, 2))
    left.add_column(style="dim", width=_NAMES)  # fixed widths: nothing jumps when a number grows
    left.add_column(justify="right", width=_VALUES)
    for name, value in (
        ("sale", f"{elapsed:.0f} of {seconds:g} s"),
        ("reserves", f"[bold cyan]{rate:,.0f}[/]/s"),
        ("p50 · p99", f"{quantile(tally.recent, 0.5):.1f} · {quantile(tally.recent, 0.99):.1f} ms"),
        ("reserved", f"{done['reserved']:,}"),
        ("confirmed", f"{done['confirmed']:,}"),
        ("released", f"{done['released']:,}"),
        ("expired", f"{tally.expired():,}"),
        ("refused", f"{tally.refusals.total():,}"),
        ("ingest lag", f"{_known(sight.ingest_lag)} messages"),
        ("journal lag", f"{_known(sight.journal_lag)} entries"),
    ):
        left.add_row(name, value)
    right = Table.grid(padding=(0, 1))
    right.add_column(no_wrap=True)
    right.add_column(width=_BAR)
    right.add_column(justify="right", min_width=8)
    for sku, units in opening.items():
        stock = sight.hot.get(sku, units)
        right.add_row(sku.rsplit(".", 1)[0], _bar(stock / units), f"{stock:,}" if stock else "[red]sold out[/]")
    body = Table.grid(padding=(0, 4))
    body.add_row(left, right)
    reasons = [
        f"{what}: " + ", ".join(f"{count:,} {why}" for why, count in counts.most_common(4))
        for what, counts in (("refused", tally.refusals), ("retried", tally.retries))
        if counts
    ]
    return Group(
        Text(),
        body,
        Text(),
        Text(" · ".join(reasons), style="dim", no_wrap=True),
        Text(_came_back(sight).strip(), style="yellow", no_wrap=True),
        Text(),
    )


def _bar(share: float) -> Text:
    filled = round(_BAR * min(1.0, max(0.0, share)))
    colour = "green" if share > 0.5 else "yellow" if share > 0.15 else "red"
    return Text("━" * filled, style=colour) + Text("━" * (_BAR - filled), style="grey23")


def _known(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _came_back(sight: Sight) -> str:
    if not sight.restarts:
        return ""
    return "  came back: " + ", ".join(f"{name} {times}×" for name, times in sight.restarts.items())
