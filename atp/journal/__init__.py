"""The journal: everything that happened, in PostgreSQL; behind the ledger by a moment, and kept for good."""

from atp.journal.connections import JournalSettings
from atp.journal.errors import (
    Fenced,
    JournalError,
    JournalForeign,
    JournalGap,
    JournalUnavailable,
    JournalUnmigrated,
    MigrationFailed,
    NotJournaled,
)
from atp.journal.exceptions import ExceptionRow
from atp.journal.journal import Claim, Journal
from atp.journal.migrate import migrate, pending

__all__ = [
    "Claim",
    "ExceptionRow",
    "Fenced",
    "Journal",
    "JournalError",
    "JournalForeign",
    "JournalGap",
    "JournalSettings",
    "JournalUnavailable",
    "JournalUnmigrated",
    "MigrationFailed",
    "NotJournaled",
    "migrate",
    "pending",
]
