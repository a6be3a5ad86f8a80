"""How a process reaches the ledger."""

from msgspec import Struct, field

from atp.ledger.fitness import Durability
from atp.ledger.limits import Limits


class LedgerSettings(Struct, frozen=True):
    """Where the ledger is, how it is divided, what its answers survive.

    ``process`` names this process to the ledger; "" makes a name. ``unproven_server``: see ``fitness``.
    """

    url: str
    namespace: str = "atp"
    partitions: int = 1
    process: str = ""
    limits: Limits = field(default_factory=Limits)
    durability: Durability = "fsync"
    unproven_server: bool = False
