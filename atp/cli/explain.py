"""``atp explain``: the terms behind an availability answer, now or at an earlier position."""

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlencode

import msgspec
from cyclopts import Parameter

from atp import config as settings
from atp.cli.client import find_api, find_stores
from atp.cli.errors import Misused
from atp.cli.output import note, run_once

if TYPE_CHECKING:
    from rich.table import Table

    from atp.domain.explain import Explanation, LocationExplanation, Term

Sku = Annotated[str, Parameter(help="What to explain.")]

_POSITION = re.compile(r"(\d{1,4}):(\d{1,16})")


def explain(sku: Sku, *, at: str = "", channel: str = "", json_: bool = False) -> int:
    """Show what a sku's availability is made of: levels by source, holds, commitments, policies. The terms add up.

    Now, it asks the API (ATP_API_URL and ATP_API_KEY, else the `atp dev` of this folder). With --at, the journal
    (ATP_DATABASE_URL, else that of `atp dev`) tells how it was after that entry, before the shares of channels.

    Example: atp explain TSHIRT-M --at 0:1234

    Parameters
    ----------
    at
        An earlier position, partition:seq, as answers and events carry it.
    channel
        The channel to answer for.
    json_
        Print as JSON.
    """
    config = settings.load()
    if at:
        if channel:
            raise Misused("--channel cannot be used with --at yet")
        return run_once(config, _earlier(config, sku, at, json_))
    query = {"explain": "true"} | ({"channel": channel} if channel else {})
    answer = find_api(config).get(f"/v1/availability/{quote(sku, safe='')}?{urlencode(query)}")
    _show(sku, answer["position"], answer["explain"], json_)
    return 0


async def _earlier(config: settings.Config, sku: str, at: str, as_json: bool) -> None:
    from atp.domain.explain import explain as terms_of
    from atp.domain.ids import partition_of
    from atp.domain.records import Asked
    from atp.wiring import open_journal

    parsed = _POSITION.fullmatch(at)
    if not parsed:
        raise Misused(f"{at!r} is no position; expected partition:seq, like 0:1234")
    partition, seq = int(parsed[1]), int(parsed[2])
    if partition != (own := partition_of(sku, config.partitions)):
        raise Misused(f"{sku} lives in partition {own}: ask for {own}:<seq>")
    async with open_journal(find_stores(config, "database_url")) as journal:
        reading = await journal.explanation(partition, seq, sku)
    _show(sku, at, msgspec.to_builtins(terms_of(reading, Asked())), as_json)


def _show(sku: str, position: str, told: dict, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode({"sku": sku, "position": position, "explain": told}).decode())
        return
    from rich.console import Console

    from atp.domain.explain import Explanation

    explanation = msgspec.convert(told, Explanation)
    console = Console()
    console.print(_table(sku, position, explanation))
    if not explanation.locations:
        note("No source has told of this sku, or only at locations that the channel does not sell from.")
    for at in explanation.locations:
        for other in at.other_sources:
            console.print(
                f"{at.location}: {other.source} ({other.role}) says {other.quantity:,}; that does not count",
                markup=False, highlight=False,
            )  # fmt: skip


def _table(sku: str, position: str, explanation: "Explanation") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{escape(sku)} at {position}: {explanation.ats:,} available to sell", title_justify="left")
    table.add_column("")
    table.add_column("units", justify="right", no_wrap=True)
    table.add_column("by")
    for at in explanation.locations:
        _add_location(table, at)
        table.add_section()
    opened = sum(term.quantity for term in explanation.terms if term.term == "location")
    limits = [term for term in explanation.terms if term.term != "location"]
    if limits or len(explanation.locations) != 1:
        table.add_row("free at all locations", f"{opened:,}", style="bold")
        for term in limits:
            table.add_row(*_row(term))
    table.add_row("available to sell", f"{explanation.ats:,}", style="bold")
    return table


def _add_location(table: "Table", at: "LocationExplanation") -> None:
    from rich.markup import escape

    table.add_row(escape(at.location), "", style="bold")
    for term in at.terms:
        table.add_row(*_row(term))
    table.add_row("  free", f"{at.free:,}")
    for limit in at.limits:
        table.add_row(*_row(limit))
    table.add_row("  to sell here", f"{at.ats:,}", style="bold")


def _row(term: "Term") -> tuple[str, str, str]:
    from rich.markup import escape

    said = [term.source, f"version {term.version}" if term.version else "", term.as_of]
    said += [f"channel {term.channel}" if term.channel else "", f"campaign {term.campaign}" if term.campaign else ""]
    said.append(f"policy {term.policy_version}" if term.policy_version else "")
    return f"    {term.term.replace('_', ' ')}", f"{term.quantity:+,}", escape(", ".join(filter(None, said)))
