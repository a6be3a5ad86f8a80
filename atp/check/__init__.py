"""Check: the ledger against itself, the journal and the sources, while everybody goes on (DESIGN §5 "Check")."""

from atp.check.checker import Busy, Checker
from atp.check.findings import Finding
from atp.check.following import EntriesGone
from atp.check.partition import JournalBehind
from atp.check.run import Progress, Stopped
from atp.check.settings import Settings

__all__ = ["Busy", "Checker", "EntriesGone", "Finding", "JournalBehind", "Progress", "Settings", "Stopped"]
