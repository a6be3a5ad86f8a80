"""Request bodies (CONTRACT "Reserve request"): what may be sent, with bounds, and what it becomes as a command.

Structs say what a schema can say and become OpenAPI; ``checked`` functions say the rest. ``omit_defaults`` keeps the
fingerprint of a request the same when a later release adds an optional field.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, json, msgpack

from atp.api.decoding import escape
from atp.api.problems import invalid
from atp.domain.commands import ReserveLine
from atp.domain.identifiers import ID_MAX, REF_MAX, ChannelId, CustomerRef, LineId, LocationId, OrderRef, Sku, fault

QUANTITY_MAX = 1_000_000_000
LINES_MAX = 100
METADATA_MAX_BYTES = 512
DEFAULT_CHANNEL = "default"

Quantity = Annotated[int, Meta(ge=1, le=QUANTITY_MAX, description="Units.")]
Ttl = Annotated[int, Meta(ge=1, le=14_400, description="Seconds the units are held.")]
# Not decided yet: they are known, so that a caller who sends one is told, and refused.
LocationGroup = Annotated[str, Meta(min_length=1, max_length=ID_MAX, description="Not supported yet.")]
Campaign = Annotated[str, Meta(min_length=1, max_length=ID_MAX, description="Not supported yet.")]
Reason = Annotated[str, Meta(min_length=1, max_length=256, description="Kept with the entry.")]


class ReserveLineBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One line of a reserve request."""

    sku: Sku
    quantity: Quantity
    line_id: LineId | None = None
    location: LocationId | None = None
    location_group: LocationGroup | None = None
    needed_by: str | None = None


class ReserveBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Hold units of every line until a deadline, or of none."""

    lines: Annotated[list[ReserveLineBody], Meta(min_length=1, max_length=LINES_MAX)]
    channel: ChannelId | None = None
    customer: CustomerRef | None = None
    order_ref: OrderRef | None = None
    campaign: Campaign | None = None
    ttl_seconds: Ttl = 600
    allow_partial: bool = False
    allow_split: bool = True
    dry_run: bool = False
    replaces: str | None = None
    metadata: Annotated[dict[str, str], Meta(description=f"Kept as sent; {METADATA_MAX_BYTES} bytes as JSON.")] = {}


class ChangeLineBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Units of one line of an existing reservation."""

    line_id: LineId
    quantity: Quantity


ChangeLines = Annotated[list[ChangeLineBody], Meta(min_length=1, max_length=LINES_MAX)]


class ConfirmBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Turn held units into committed ones; without lines, all of them."""

    order_ref: OrderRef | None = None
    lines: ChangeLines | None = None
    reacquire: bool = False


class ReleaseBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Give units back; without lines, all of them. Without ``of``: held ones if there are any, else committed ones."""

    lines: ChangeLines | None = None
    of: Literal["held", "committed", "all"] | None = None
    reason: Reason | None = None


class ExtendBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Move the deadline to now + ``ttl_seconds``, never nearer."""

    ttl_seconds: Ttl


class AvailabilityBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Which skus to look up, each as one atomic reading."""

    skus: Annotated[list[Sku], Meta(min_length=1, max_length=500)]
    channel: ChannelId | None = None
    location: LocationId | None = None
    location_group: LocationGroup | None = None
    date: str | None = None


#: Canonical bytes of a request, for fingerprints: the order of metadata keys says nothing.
canonical = msgpack.Encoder(order="deterministic").encode

_metadata_text = json.Encoder(order="deterministic").encode


def check_identifier(text: str | None, pointer: str, most: int = ID_MAX) -> None:
    """Raises Problem (400) for control characters and text that is not in normal form (R39)."""
    if text is not None and (wrong := fault(text, most)):
        raise invalid(f"The text {wrong}.", pointer=pointer)


def reserve_lines(body: ReserveBody) -> list[ReserveLine]:
    """The lines of the command; a line without an id takes its number, counted from 1. Raises Problem (400)."""
    lines: list[ReserveLine] = []
    ids: set[str] = set()
    for index, line in enumerate(body.lines):
        at = f"/lines/{index}"
        check_identifier(line.sku, f"{at}/sku")
        check_identifier(line.line_id, f"{at}/line_id")
        check_identifier(line.location, f"{at}/location")
        if line.location_group is not None:
            raise _not_yet(f"{at}/location_group")
        if line.needed_by is not None:
            raise _not_yet(f"{at}/needed_by")
        line_id = line.line_id or str(index + 1)
        if line_id in ids:
            raise invalid(f"The line id {line_id!r} is used twice.", pointer=f"{at}/line_id")
        ids.add(line_id)
        lines.append(ReserveLine(line_id, line.sku, line.quantity, line.location or ""))
    return lines


def check_reserve(body: ReserveBody) -> str:
    """Everything about the request but its lines; answers the metadata as JSON text. Raises Problem (400)."""
    check_identifier(body.channel, "/channel")
    check_identifier(body.customer, "/customer", REF_MAX)
    check_identifier(body.order_ref, "/order_ref", REF_MAX)
    if body.campaign is not None:
        raise _not_yet("/campaign")
    if body.allow_partial:
        raise _not_yet("/allow_partial")
    if not body.allow_split:
        raise _not_yet("/allow_split")
    if body.dry_run:
        raise _not_yet("/dry_run")
    if body.replaces is not None:
        raise _not_yet("/replaces")
    return _metadata(body.metadata) if body.metadata else ""


def change_lines(lines: list[ChangeLineBody] | None) -> list[tuple[str, int]]:
    """(line_id, quantity) of the command; a line named twice is refused, since it is more likely a mistake."""
    if lines is None:
        return []
    found: dict[str, int] = {}
    for index, line in enumerate(lines):
        check_identifier(line.line_id, f"/lines/{index}/line_id")
        if line.line_id in found:
            raise invalid(f"The line {line.line_id!r} is named twice.", pointer=f"/lines/{index}/line_id")
        found[line.line_id] = line.quantity
    return list(found.items())


def check_confirm(body: ConfirmBody) -> None:
    """Raises Problem (400)."""
    check_identifier(body.order_ref, "/order_ref", REF_MAX)
    if body.reacquire:
        raise _not_yet("/reacquire")


def check_availability(body: AvailabilityBody) -> None:
    """Raises Problem (400)."""
    for index, sku in enumerate(body.skus):
        check_identifier(sku, f"/skus/{index}")
    check_identifier(body.channel, "/channel")
    check_identifier(body.location, "/location")
    if body.location_group is not None:
        raise _not_yet("/location_group")
    if body.date is not None:
        raise _not_yet("/date")


def _metadata(metadata: dict[str, str]) -> str:
    for key, value in metadata.items():
        if "\x00" in key or "\x00" in value:  # PostgreSQL stores no NUL in JSON, so the journal could not keep it
            raise invalid("Metadata must not contain NUL.", pointer=f"/metadata/{escape(key)}")
    text = _metadata_text(metadata)
    if len(text) > METADATA_MAX_BYTES:
        detail = f"Metadata may have at most {METADATA_MAX_BYTES} bytes as JSON; this has {len(text)}."
        raise invalid(detail, pointer="/metadata")
    return text.decode()


def _not_yet(pointer: str) -> Exception:
    return invalid("This is not supported yet.", pointer=pointer)
