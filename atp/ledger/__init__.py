"""The only writer of live state: one Lua library, called in batches. ``Ledger`` is its whole public face."""

from atp.ledger.errors import (
    BasketInProgress,
    CrossPartition,
    LedgerBusy,
    LedgerError,
    LedgerRecovering,
    LedgerUnavailable,
    LedgerUnfit,
    OutcomeUnknown,
)
from atp.ledger.ledger import Ledger
from atp.ledger.limits import Limits
from atp.ledger.looks import Look, Looks, Page
from atp.ledger.settings import LedgerSettings
from atp.ledger.wire import Head, Unnamed

__all__ = [
    "BasketInProgress",
    "CrossPartition",
    "Head",
    "Ledger",
    "LedgerBusy",
    "LedgerError",
    "LedgerRecovering",
    "LedgerSettings",
    "LedgerUnavailable",
    "LedgerUnfit",
    "Limits",
    "Look",
    "Looks",
    "OutcomeUnknown",
    "Page",
    "Unnamed",
]
