"""Words about repairs; drift is planted by a repair as well, since both laws take it.

drift A@DC1 [for src] · drift A · drift none · drift r1     its exception is raised, if it is not
repair A@DC1 held 2 pegged:d3 -1 used:web/9 3 [for src] [of 9]      counters and what they change by; /: the value
repair none holding:web|c-1/4 -1     of no sku; | stands for the separator
putback r1 [journaled [stale]] [order X] [of 9]     with the journal's record; of an order that may name it
"""

from typing import Any

from msgspec import structs

from atp.domain import commands as c
from atp.domain.exceptions import subject
from atp.domain.repair_commands import Correction
from tests.scenarios import table as tables

WORDS = ("drift", "repair", "putback")


def command(table: Any, word: str, plain: list[str], named: dict[str, str]) -> c.Command:
    if word == "drift" and plain[0].startswith("r"):
        return c.Raise("drift", reservation=tables.id_of(plain[0]))
    if word == "putback":
        id = tables.id_of(plain[0])
        record = [table.journaled[id]] if "journaled" in named else []
        if "stale" in named:
            record = [structs.replace(record[0], seq=record[0].seq - 1)]
        raised = _raised(table, named, "", "", "", id)
        return c.PutBack(id, named.get("order", ""), record, raised, "checker", "cause")
    sku, _, location = plain[0].replace("none", "").partition("@")
    source = named.get("for", "")
    if word == "drift":
        return c.Raise("drift", sku, location, source)
    raised = _raised(table, named, sku, location, source, "")
    found = [_correction(*pair) for pair in zip(plain[1::2], plain[2::2], strict=True)]
    return c.Repair(sku, location, source, raised, found, "checker", "cause")


def _raised(table: Any, named: dict[str, str], *about: str) -> int:
    return int(named.get("of") or table.law.dump()["exceptions"].get(subject("drift", *about), 0))


def _correction(text: str, by: str) -> Correction:
    text, _, value = text.partition("/")
    counter, _, name = text.partition(":")
    if counter in ("pegged", "due", "quantity"):
        name, starts_at = tables.day_of(name)
        return Correction(counter, name, int(by), starts_at if value else 0)
    return Correction(counter, name.replace("|", "\x1f"), int(by), int(value or 0))  # pyright: ignore[reportArgumentType]
