"""Following availability: a copy of numbers that this process keeps right, and the feed of what changed.

``view`` answers what was asked before as long as it holds, by what ``tail`` reads of the ledger's outbox.
"""

from atp.api.following.view import View

__all__ = ["View"]
