"""Events that bring no number: a source says that it lives."""

from msgspec import UNSET, Struct, UnsetType

from atp.domain.commands import Command
from atp.ingest.events.told import Told
from atp.ingest.reasons import Reason
from atp.ingest.strictjson import decoder_of


class _Heartbeat(Struct, forbid_unknown_fields=True):
    sequence: str | int | UnsetType = UNSET


_decode_heartbeat = decoder_of(_Heartbeat)


def heartbeat(told: Told) -> list[Command]:
    """No command. Raises Rejected unless the data is a heartbeat's, or empty."""
    if bytes(told.event.data).strip():
        _decode_heartbeat(told.event.data, told.event.root, Reason.INVALID_DATA)
    return []
