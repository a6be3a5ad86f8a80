"""Words of the tables about sources: heartbeat, restart, cutover, recheck, touch."""

from typing import TYPE_CHECKING

from atp.domain import commands as c

if TYPE_CHECKING:
    from tests.scenarios.table import Table

WORDS = ("heartbeat", "restart", "cutover", "recheck", "touch")

_VALUED = ("pos", "key", "body", "if", "to", "of", "by")


def command(table: "Table", word: str, rest: list[str]) -> c.Command:
    """The command of a line."""
    plain: list[str] = []
    named: dict[str, str] = {}
    words = iter(rest)
    for text in words:
        if text in _VALUED:
            named[text] = next(words)
        else:
            plain.append(text)
    table.changes += 1
    change = c.Change(int(named.get("key", 1_000 + table.changes)), int(named.get("body", 1)))
    match word:
        case "heartbeat":
            return c.Heartbeat(plain[0], "S", int(named.get("pos", 0)), "cause", "quiet" not in plain)
        case "touch":
            sku, _, location = plain[0].partition("@")
            ordered = len(plain) > 1
            version = (0, int(plain[1][1:])) if ordered else (0, 0)
            kind = ("time" if "time" in plain else "sequence") if ordered else ""
            source, position = named.get("by", "wms"), int(named.get("pos", 0))
            return c.Touch(sku, location, source, kind, version, "S", position, 0, "cause")
        case "restart":
            return c.RestartSource(plain[0], change, int(named.get("to", 0)), "tests", "cause")
        case "cutover":
            location, source, *body = plain
            return c.MoveAuthority(
                location, source, change, " ".join(body), int(named.get("if", -1)), 0, "tests", "cause"
            )
    location, *skus = plain
    last = "last" in skus
    at = table.law.dump()["locations"].get(location, ("", 0, 0))[2]
    return c.Recheck(location, int(named.get("of") or at), [sku for sku in skus if sku != "last"], last, "cause")
