"""Events that bring no number: a source says that it lives, or that something changed of which it does not say what."""

from msgspec import UNSET, Struct, UnsetType

from atp.domain.commands import Heartbeat, Touch
from atp.domain.identifiers import LocationId, Sku
from atp.ingest.events.checks import check_identifier, check_keys
from atp.ingest.events.told import Told, Version
from atp.ingest.reasons import Reason
from atp.ingest.strictjson import decoder_of


class HeartbeatData(Struct, forbid_unknown_fields=True):
    """A sign of life."""

    sequence: str | int | UnsetType = UNSET


class TouchData(Struct, forbid_unknown_fields=True):
    """A number is another one now."""

    sku: Sku
    location: LocationId | UnsetType = UNSET


_decode_heartbeat = decoder_of(HeartbeatData)
_decode_touch = decoder_of(TouchData)


def heartbeat(told: Told) -> list[Heartbeat]:
    """A sign of life. Raises Rejected unless the data is a heartbeat's, or empty."""
    if bytes(told.event.data).strip():
        _decode_heartbeat(told.event.data, told.event.root, Reason.INVALID_DATA)
    return [Heartbeat(told.source, told.stream, told.position, told.event.cause)]


def touch(told: Told) -> list[Touch]:
    """Whoever reads the source has to fetch it. It may have no version. Raises Rejected."""
    event, root = told.event, told.event.root
    version = told.version() if event.sequence or event.time else Version("", (0, 0), 0)
    data = _decode_touch(event.data, root, Reason.INVALID_DATA)
    check_identifier(data.sku, f"{root}.sku")
    if data.location is not UNSET:
        check_identifier(data.location, f"{root}.location")
    check_keys(event.data, 1 + (data.location is not UNSET))
    return [
        Touch(
            data.sku, "" if data.location is UNSET else data.location, told.source, version.kind, version.number,
            told.stream, told.position, version.as_of, event.cause,
        )
    ]  # fmt: skip
