"""When the day of a delivery begins at its location: the ledger keeps the time zones, so it is asked, and not a copy.

Deliveries are few beside levels; one look for each batch that has any is exact, whatever changed a moment ago.
"""

from collections.abc import Sequence
from datetime import date

import structlog
from msgspec import Struct, json, structs

from atp.domain.commands import Command, Incoming
from atp.domain.times import day_starts
from atp.ledger import Ledger

log = structlog.get_logger("atp.ingest")


class _Location(Struct):
    timezone: str = "UTC"


def has_days(commands: Sequence[Command]) -> bool:
    """Whether any command waits for the start of its day."""
    return any(isinstance(command, Incoming) and command.day and not command.starts_at for command in commands)


async def zones(ledger: Ledger) -> dict[str, str]:
    """The time zone of every location. Raises LedgerError."""
    return {found.id: json.decode(found.body, type=_Location).timezone for found in await ledger.policies("location")}


def dated(commands: Sequence[Command], zones: dict[str, str]) -> list[Command]:
    """The commands with the start of their days; the law refuses what is for a location that nobody knows."""
    return [
        structs.replace(command, starts_at=_start(command, zones.get(command.location, "UTC")))
        if isinstance(command, Incoming) and command.day
        else command
        for command in commands
    ]


def _start(command: Incoming, zone: str) -> int:
    try:
        return day_starts(date.fromisoformat(command.day), zone)
    except ValueError:
        log.error("a location has a time zone that this machine does not know", location=command.location, zone=zone)
        return day_starts(date.fromisoformat(command.day), "UTC")
