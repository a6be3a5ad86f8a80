"""The contract's types of events (CONTRACT "NATS"): each is a function from what was told to commands, or to Rejected.

One file per subject. A new type is a line in ``TYPES``.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from atp.domain.commands import Command
from atp.ingest.events.levels import DeltaData, LevelData, StatusData, deltas, levels, statuses
from atp.ingest.events.notices import HeartbeatData, TouchData, heartbeat, touch
from atp.ingest.events.orders import OrderData, ReturnData, acknowledged, cancelled, fulfilled, returned
from atp.ingest.events.snapshots import SnapshotData, snapshot
from atp.ingest.events.supply import IncomingData, ReceivedData, incoming, received
from atp.ingest.events.told import Told

LEVEL = "atp.stock.level.v1"
DELTA = "atp.stock.delta.v1"
STATUS = "atp.stock.status.v1"
SNAPSHOT = "atp.stock.snapshot.v1"
INCOMING = "atp.supply.incoming.v1"
RECEIVED = "atp.supply.received.v1"
FULFILLED = "atp.order.fulfilled.v1"
CANCELLED = "atp.order.cancelled.v1"
ACKNOWLEDGED = "atp.order.acknowledged.v1"
RETURNED = "atp.return.received.v1"
HEARTBEAT = "atp.source.heartbeat.v1"
TOUCH = "atp.stock.touch.v1"

#: What decodes an event of a type.
TYPES: dict[str, Callable[[Told], Sequence[Command]]] = {
    LEVEL: levels,
    DELTA: deltas,
    STATUS: statuses,
    SNAPSHOT: snapshot,
    INCOMING: incoming,
    RECEIVED: received,
    FULFILLED: fulfilled,
    CANCELLED: cancelled,
    ACKNOWLEDGED: acknowledged,
    RETURNED: returned,
    HEARTBEAT: heartbeat,
    TOUCH: touch,
}

#: What the data of an event has, by type: for the document of all events.
DATA: dict[str, type[Struct]] = {
    LEVEL: LevelData,
    DELTA: DeltaData,
    STATUS: StatusData,
    SNAPSHOT: SnapshotData,
    INCOMING: IncomingData,
    RECEIVED: ReceivedData,
    FULFILLED: OrderData,
    CANCELLED: OrderData,
    ACKNOWLEDGED: OrderData,
    RETURNED: ReturnData,
    HEARTBEAT: HeartbeatData,
    TOUCH: TouchData,
}

#: What events are called where they are counted.
KINDS = {type: type.split(".")[2] for type in TYPES} | {RETURNED: "return"}

__all__ = [
    "ACKNOWLEDGED",
    "CANCELLED",
    "DATA",
    "DELTA",
    "FULFILLED",
    "HEARTBEAT",
    "INCOMING",
    "KINDS",
    "LEVEL",
    "RECEIVED",
    "RETURNED",
    "SNAPSHOT",
    "STATUS",
    "TOUCH",
    "TYPES",
    "Told",
]
