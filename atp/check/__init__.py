"""Check: the ledger against itself, the journal and the sources, while everybody goes on (DESIGN §5 "Check")."""

from atp.check.checker import Busy, Checker, CheckFailed
from atp.check.findings import Finding
from atp.check.partition import Stopped
from atp.check.run import Progress
from atp.check.settings import Settings

__all__ = ["Busy", "CheckFailed", "Checker", "Finding", "Progress", "Settings", "Stopped"]
