"""Rebuild: a ledger that is empty, or behind what others know of it, is made anew from the journal (R2, R15, R20)."""

from atp.rebuild.accepting import accept
from atp.rebuild.baselines import make_baseline
from atp.rebuild.leasing import leased
from atp.rebuild.loading import JournalCut, load_state
from atp.rebuild.rebuilder import Rebuilder, Rebuilt
from atp.rebuild.settings import Settings
from atp.rebuild.watch import Watch
from atp.rebuild.witnesses import LastTold
from atp.rebuild.writing import write_state

__all__ = [
    "JournalCut",
    "LastTold",
    "Rebuilder",
    "Rebuilt",
    "Settings",
    "Watch",
    "accept",
    "leased",
    "load_state",
    "make_baseline",
    "write_state",
]
