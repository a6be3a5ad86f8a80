"""Following availability: a copy of numbers that this process keeps right, and the feed of what changed.

``view`` answers what was asked before as long as it holds, by what ``tail`` reads of the ledger's outbox. ``changes``
knows the stream of availability events, ``feed`` makes pages of it, and ``hub`` lets readers wait for more.
"""

from atp.api.following.changes import Changes
from atp.api.following.view import View

__all__ = ["Changes", "View"]
