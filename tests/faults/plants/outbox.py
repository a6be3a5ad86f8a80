"""A small outbox, so that it fills while a test waits."""

from msgspec import structs

from atp import wiring
from atp.ledger import LedgerSettings


def plant(argument: str) -> None:
    """So many unjournaled entries are accepted."""

    def small(*given, **named) -> LedgerSettings:
        settings = LedgerSettings(*given, **named)
        return structs.replace(settings, limits=structs.replace(settings.limits, outbox_max=int(argument)))

    wiring.LedgerSettings = small  # type: ignore[assignment, misc]
