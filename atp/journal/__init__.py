"""The journal: everything that happened, in PostgreSQL; behind the ledger by a moment, and kept for good."""

from atp.journal.baselines import Baseline
from atp.journal.checking import Checking, Level, Run, RunRow
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
from atp.journal.history import Asked, FoundReservation, Happened, Place
from atp.journal.journal import Claim, Journal, Pruned
from atp.journal.migrate import administer, migrate, pending

__all__ = [
    "Asked",
    "Baseline",
    "Checking",
    "Claim",
    "ExceptionRow",
    "Fenced",
    "FoundReservation",
    "Happened",
    "Journal",
    "JournalError",
    "JournalForeign",
    "JournalGap",
    "JournalSettings",
    "JournalUnavailable",
    "JournalUnmigrated",
    "Level",
    "MigrationFailed",
    "NotJournaled",
    "Place",
    "Pruned",
    "Run",
    "RunRow",
    "administer",
    "migrate",
    "pending",
]
