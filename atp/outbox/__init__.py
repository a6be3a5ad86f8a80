"""The outbox's way out: ledger → journal (``Drainer``), journal → NATS (``Publisher``). ``Outbox`` runs both."""

from atp.outbox.counters import Counters
from atp.outbox.drainer import Drainer
from atp.outbox.healing import live_baseline
from atp.outbox.outbox import Outbox
from atp.outbox.publisher import Publisher
from atp.outbox.settings import Settings
from atp.outbox.stream import StreamUnfit

__all__ = ["Counters", "Drainer", "Outbox", "Publisher", "Settings", "StreamUnfit", "live_baseline"]
