"""Words of the tables about sources: heartbeat, restart, cutover, recheck."""

from typing import TYPE_CHECKING

from atp.domain import commands as c

if TYPE_CHECKING:
    from tests.scenarios.table import Table

WORDS = ("heartbeat", "restart", "cutover", "recheck")

_VALUED = ("pos", "key", "body", "if", "to", "of")


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
