"""Words of scenario tables for baskets that span partitions.

    open r1 A:2 far:1 [ttl 5] [call 3] [as 2] [replaces r0] [with t1]     skus that start with "far" live elsewhere
    take r1 A:2 [partial] [attempt 9] [replaces r0]
                                                the attempt is that of the last open, unless named (`attempt r0`: its)
    decide r1 A:2@DC1 far:1@FAR [attempt 9]     what each line was granted; `A:2` alone was granted nothing
    abort r1 [attempt 9] [short]                `short` remembers a refusal
    drop r1 [attempt 9]
    follow r1 A:1/1/0@DC1 seq 7                 held/committed/fulfilled as home says, as of its seq
    followed r1 [seq 7]                         the seq is what home waits for, unless named

``= nothing`` asks that no basket, leg or tentative unit is left; ``= nothing legs`` that only legs are.
"""

from typing import TYPE_CHECKING

from atp.domain import commands as c
from atp.domain.outcomes import Outcome
from atp.domain.records import Allocation, Line, Shortfall

if TYPE_CHECKING:
    from tests.scenarios.table import Table

WORDS = ("open", "take", "decide", "abort", "drop", "follow", "followed")


def command(table: "Table", word: str, id: str, plain: list[str], named: dict[str, str]) -> c.Command:
    """The command of one line."""
    told = named.get("attempt", "")
    attempt = int(told) if told.isdigit() else table.attempts.get(f"b1:{told}" if told else id, 0)
    match word:
        case "abort":
            short = [Shortfall(0, "A", 1, 0, 0, [], 0)] if "short" in named else []
            return c.Abort(id, int(named.get("as", 1)), attempt, short)
        case "drop":
            return c.DropLeg(id, attempt)
        case "follow":
            return c.FollowHome(id, int(named["seq"]), [_line(i, text) for i, text in enumerate(plain, 1)])
        case "followed":
            return c.Followed(id, int(named.get("seq") or table.law.dump()["following"].get(id, 0)))
    ttl = round(float(named.get("ttl", 0)) * 1000)
    wanted = [text.partition("@")[0] for text in plain] if word == "decide" else plain
    lines = [table.reserve_line(i, text) for i, text in enumerate(wanted, 1)]
    replaces = f"b1:{named['replaces']}" if "replaces" in named else ""
    reserve = c.Reserve(
        id, int(named.get("as", 1)), named.get("as-client", "shop"), named.get("via", "web"),
        named.get("for", ""), "", named.get("in", ""), "",
        ttl, lines, "cause", "partial" in named, "whole" not in named, False, replaces,
        named.get("with", ""),
    )  # fmt: skip
    if word == "open":
        foreign = sorted({line.sku for line in lines if line.sku.startswith("far")})
        return c.OpenBasket(int(named.get("call", 1)), 5_000, foreign, reserve)
    if word == "take":
        return c.TakeLeg(attempt, 5_000, reserve)
    return c.Decide(attempt, [_line(i, text) for i, text in enumerate(plain, 1)], reserve)


def note(table: "Table", command: c.Command) -> None:
    """Remember the attempt that was opened."""
    if isinstance(command, c.OpenBasket) and table.last.outcome is Outcome.APPLIED:
        table.attempts[command.reserve.id] = table.last.seq


def _line(index: int, text: str) -> Line:
    wanted, _, location = text.partition("@")
    sku, quantities = wanted.split(":")
    units = [int(quantity) for quantity in quantities.split("/")]
    held, committed, fulfilled = [*units, 0, 0][:3]
    told = [0, fulfilled, fulfilled] if fulfilled else []
    granted = [Allocation(location, "", held, committed, fulfilled=fulfilled, told=told)] if location else []
    return Line(str(index), sku, sum(units), granted)
