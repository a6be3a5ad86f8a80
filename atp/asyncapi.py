"""The AsyncAPI 3 document of all events, in and out, made of the structs that read and write them (CONTRACT "NATS")."""

from typing import Any

from msgspec import Struct, json

from atp import __version__
from atp.domain.views import ReservationView
from atp.ingest.events import DATA
from atp.outbox.messages import (
    AvailabilityData,
    ExceptionRaisedData,
    ExceptionResolvedData,
    NetworkData,
    RefreshData,
    ShortageAffectedData,
    ShortageClosedData,
    ShortageData,
)

_REF = "#/components/schemas/{name}"

#: What goes out: the subject behind ``atp.v1.`` and what its data may be.
OUT: dict[str, tuple[type[Struct], ...]] = {
    **{
        f"reservation.{what}": (ReservationView,)
        for what in (
            "held", "committed", "acknowledged", "fulfilled", "released", "expired", "extended", "transferred"
        )
    },
    "availability": (AvailabilityData,),
    "shortage": (ShortageData, ShortageAffectedData, ShortageClosedData),
    "exception": (ExceptionRaisedData, ExceptionResolvedData),
    "refresh": (RefreshData,),
    "network": (NetworkData,),
}  # fmt: skip

_IN_HEADERS = {
    "type": "object",
    "required": ["ce-type", "ce-id"],
    "properties": {
        "ce-type": {"type": "string"},
        "ce-id": {"type": "string", "description": "Deduplicates."},
        "ce-sequence": {"type": "string", "pattern": "^[0-9]{1,19}$", "description": "Orders, compared as a number."},
        "ce-time": {"type": "string", "format": "date-time", "description": "Orders where there is no sequence."},
        "Nats-Msg-Id": {"type": "string"},
        "traceparent": {"type": "string"},
    },
}
_OUT_HEADERS = {
    "type": "object",
    "required": ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-subject", "Nats-Msg-Id"],
    "properties": {
        "ce-id": {"type": "string", "description": "partition:seq(:n); repeats have the same one."},
        "ce-subject": {"type": "string", "description": "A reservation's id or a sku."},
        "ce-omitted": {
            "enum": ["allocations", "lines"],
            "description": "Left empty here, since with them the reservation is larger than NATS takes.",
        },
        "traceparent": {"type": "string", "description": "Of what led to the event."},
    },
}


def document() -> bytes:
    """The whole document as JSON."""
    kinds = {*DATA.values(), *(kind for kinds in OUT.values() for kind in kinds)}
    _, schemas = json.schema_components(kinds, ref_template=_REF)
    told = {type: _message(type, (data,), _IN_HEADERS) for type, data in DATA.items()}
    events = {f"atp.v1.{what}": _message(f"atp.v1.{what}", kinds, _OUT_HEADERS) for what, kinds in OUT.items()}
    channels = {"stock": _channel("stock.v1.{source}", told), "stockShard": _channel("stock.v1.{source}.{shard}", told)}
    channels |= {name: _channel(name, {name: message}) for name, message in events.items()}
    return json.encode(
        {
            "asyncapi": "3.0.0",
            "info": {
                "title": "atp",
                "version": __version__,
                "description": "Events read from stream STOCK and written to stream ATP: CloudEvents 1.0, binary mode.",
            },
            "defaultContentType": "application/json",
            "channels": channels,
            "operations": {
                name: {"action": "receive" if name.startswith("stock") else "send", "channel": _to("channels", name)}
                for name in channels
            },
            "components": {"messages": told | events, "schemas": schemas},
        }
    )


def _message(name: str, kinds: tuple[type[Struct], ...], headers: dict[str, Any]) -> dict[str, Any]:
    payloads = [{"$ref": _REF.format(name=kind.__name__)} for kind in kinds]
    payload = payloads[0] if len(payloads) == 1 else {"oneOf": payloads}
    return {"name": name, "summary": _summary(kinds[0]), "headers": headers, "payload": payload}


def _summary(kind: type[Struct]) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def _channel(address: str, messages: dict[str, Any]) -> dict[str, Any]:
    named = {name: _to("components/messages", name) for name in messages}
    channel: dict[str, Any] = {"address": address, "messages": named}
    names = [part[1:-1] for part in address.split(".") if part.startswith("{")]
    if names:
        channel["parameters"] = {name: {"description": _PARAMETERS[name]} for name in names}
    return channel


def _to(place: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/{place}/{name}"}


_PARAMETERS = {
    "source": "The system that tells it; its name for atp, whatever ce-source says.",
    "shard": "A source keeps the order of one sku within one subject.",
}
