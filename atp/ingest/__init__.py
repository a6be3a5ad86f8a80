"""NATS JetStream → ledger: stock events become commands, in order, each with effect once (DESIGN §6).

``Consumer`` is what a process runs. ``events`` knows the contract's events, ``messages`` how they are sent, ``pull``
the stream, ``applying`` the ledger's failures, ``deadletters`` where messages go that fail by their own content.
``feed`` is for those who send, ``posting`` for those who send over HTTP. ``Sweeper`` runs beside consumers and empties
what full snapshots do not name; ``Watcher`` finds deliveries that did not come.
"""

from atp.ingest.batches import FeedRefused, FeedUncertain
from atp.ingest.consumer import Consumer
from atp.ingest.counters import Counters
from atp.ingest.feed import Event, Feed
from atp.ingest.overdue import Watcher
from atp.ingest.posting import Posting
from atp.ingest.reasons import Reason
from atp.ingest.settings import Settings
from atp.ingest.streams import StreamUnfit, ensure_streams
from atp.ingest.sweeping import Sweeper

__all__ = [
    "Consumer",
    "Counters",
    "Event",
    "Feed",
    "FeedRefused",
    "FeedUncertain",
    "Posting",
    "Reason",
    "Settings",
    "StreamUnfit",
    "Sweeper",
    "Watcher",
    "ensure_streams",
]
