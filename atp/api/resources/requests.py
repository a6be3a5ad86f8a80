"""Request bodies (CONTRACT "Reserve request"): what may be sent, with bounds, and what it becomes as a command.

Structs say what a schema can say and become OpenAPI; ``checked`` functions say the rest. ``omit_defaults`` keeps the
fingerprint of a request the same when a later release adds an optional field.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct, json, msgpack

from atp.api.call import POSITIONS_MAX
from atp.api.decoding import escape
from atp.api.problems import invalid
from atp.domain.commands import ReserveLine
from atp.domain.identifiers import (
    ID_MAX,
    REF_MAX,
    CampaignId,
    ChannelId,
    CustomerRef,
    LineId,
    LocationId,
    OrderRef,
    Sku,
    fault,
    plain,
    text_fault,
)
from atp.domain.ids import reservation_partition

QUANTITY_MAX = 1_000_000_000
LINES_MAX = 100
BATCH_MAX = 100
METADATA_MAX_BYTES = 512
DEFAULT_CHANNEL = "default"

#: What the document says of a list that ``check_names`` looks at.
UNIQUE = {"uniqueItems": True}

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ID = re.compile(r"[0-9A-Za-z_-]{19}")

Quantity = Annotated[int, Meta(ge=1, le=QUANTITY_MAX, description="Units.")]
Ttl = Annotated[
    int, Meta(ge=1, le=14_400, description="Seconds the units are held; by default the campaign's time, else 600.")
]
Replaces = Annotated[
    str,
    Meta(
        description="Id of an earlier hold of the same client and customer, given back in the same step. If this "
        "request is refused, it stays; if it has ended, there is nothing to do."
    ),
]


#: Days that callers may ask for lie at most this far ahead: a position keeps each that something is promised for.
DAYS_AHEAD = 731

Day = Annotated[
    str,
    Meta(
        description="A day at the location, such as 2026-12-01. Supply that is due by then counts.",
        extra_json_schema={"format": "date"},
    ),
]


class ReserveLineBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One line of a reserve request."""

    sku: Sku
    quantity: Quantity
    line_id: LineId | None = None
    location: LocationId | None = None
    location_group: LocationId | None = None
    needed_by: Day | None = None


class ReserveBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Hold units of every line until a deadline, or of none; with `allow_partial`, of what there is."""

    lines: Annotated[list[ReserveLineBody], Meta(min_length=1, max_length=LINES_MAX)]
    channel: ChannelId | None = None
    customer: CustomerRef | None = None
    order_ref: OrderRef | None = None
    campaign: CampaignId | None = None
    ttl_seconds: Ttl | None = None
    allow_partial: Annotated[
        bool, Meta(description="Grant what there is, line by line; nothing at all is refused.")
    ] = False
    allow_split: Annotated[
        bool, Meta(description="If not, all lines that name no location are taken from one location, or refused.")
    ] = True
    dry_run: Annotated[bool, Meta(description="Answer what would be held, and hold nothing.")] = False
    replaces: Replaces | None = None
    metadata: Annotated[dict[str, str], Meta(description=f"Kept as sent; {METADATA_MAX_BYTES} bytes as JSON.")] = {}


class BatchBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Reservations that have nothing to do with each other; item *i* acts under the key `<Idempotency-Key>/<i>`."""

    reservations: Annotated[list[ReserveBody], Meta(min_length=1, max_length=BATCH_MAX)]


Positions = Annotated[
    str,
    Meta(
        max_length=POSITIONS_MAX,
        description="Wait, a second at most, until this is seen: `0:1234`; of several partitions, separated by commas.",
    ),
]


class AvailabilityBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Which skus to look up, each as one atomic reading."""

    skus: Annotated[list[Sku], Meta(min_length=1, max_length=500)]
    channel: ChannelId | None = None
    campaign: CampaignId | None = None
    location: LocationId | None = None
    location_group: LocationId | None = None
    date: Day | None = None
    min_position: Positions | None = None


#: Canonical bytes of a request, for fingerprints: the order of metadata keys says nothing.
canonical = msgpack.Encoder(order="deterministic").encode

_metadata_text = json.Encoder(order="deterministic").encode


def check_identifier(text: str | None, pointer: str, most: int = ID_MAX) -> None:
    """Raises Problem (400) for control characters, text that is not in normal form, white space around it (R39)."""
    if text is not None and (wrong := fault(text, most)):
        raise invalid(f"The text {wrong}.", pointer=pointer)


def check_identifiers(texts: Sequence[str], pointer: str) -> None:
    """The same for each of a list. All are looked at together first, at a tenth of the cost."""
    if not plain("".join(texts)) or not all(texts) or len(max(texts, key=len, default="")) > ID_MAX:
        for index, text in enumerate(texts):
            check_identifier(text, f"{pointer}/{index}")


def check_text(text: str | None, pointer: str, most: int) -> None:
    """Raises Problem (400) for what a reason cannot be: as above, but white space around it is harmless."""
    if text is not None and (wrong := text_fault(text, most)):
        raise invalid(f"The text {wrong}.", pointer=pointer)


def check_names(names: Sequence[str], pointer: str) -> None:
    """Raises Problem (400) for a name that is no identifier, or is listed twice."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        check_identifier(name, f"{pointer}/{index}")
        if name in seen:
            raise invalid(f"{name!r} is listed twice.", pointer=f"{pointer}/{index}")
        seen.add(name)


def check_day(text: str | None, **where: str) -> None:
    """Raises Problem (400) for what is no day, or one too far ahead; ``where`` is as for ``invalid``."""
    if text is None:
        return
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise invalid("This is not a day, such as 2026-12-01.", **where)
    if day > datetime.now(UTC).date() + timedelta(DAYS_AHEAD):
        raise invalid(f"This day is more than {DAYS_AHEAD} days ahead.", **where)


def reserve_lines(body: ReserveBody) -> list[ReserveLine]:
    """The lines of the command; a line without an id takes its number, counted from 1. Raises Problem (400)."""
    lines: list[ReserveLine] = []
    ids: set[str] = set()
    for index, line in enumerate(body.lines):
        line_id, place, group, day = line.line_id, line.location, line.location_group, line.needed_by
        if fault(line.sku) or line_id or place or group or day:  # most name a sku and no more
            _check_line(line, f"/lines/{index}/")
        line_id = line_id or str(index + 1)
        if line_id in ids:
            raise invalid(f"The line id {line_id!r} is used twice.", pointer=f"/lines/{index}/line_id")
        ids.add(line_id)
        lines.append(ReserveLine(line_id, line.sku, line.quantity, place or "", group or "", day or ""))
    return lines


def _check_line(line: ReserveLineBody, pointer: str) -> None:
    for name in ("sku", "line_id", "location", "location_group"):
        check_identifier(getattr(line, name), pointer + name)
    if line.location is not None and line.location_group is not None:
        raise invalid("A line names a location or a group of them.", pointer=pointer + "location_group")
    check_day(line.needed_by, pointer=pointer + "needed_by")


def check_reserve(body: ReserveBody) -> str:
    """Everything about the request but its lines; answers the metadata as JSON text. Raises Problem (400)."""
    check_identifier(body.channel, "/channel")
    check_identifier(body.customer, "/customer", REF_MAX)
    check_identifier(body.order_ref, "/order_ref", REF_MAX)
    check_identifier(body.campaign, "/campaign")
    return _metadata(body.metadata) if body.metadata else ""


def check_replaces(replaces: str, id: str, partitions: int) -> None:
    """The hold to give back must live where the new one, ``id``, will, to be one step. Raises Problem (400)."""
    partition = reservation_partition(replaces, partitions) if _ID.fullmatch(replaces) else None
    if partition is None:
        raise invalid("This is not the id of a reservation.", pointer="/replaces")
    if partition != reservation_partition(id, partitions):
        raise invalid("This is not supported over several partitions yet.", pointer="/replaces")


def check_availability(body: AvailabilityBody) -> None:
    """Raises Problem (400)."""
    check_identifiers(body.skus, "/skus")
    check_identifier(body.channel, "/channel")
    check_identifier(body.location, "/location")
    check_identifier(body.location_group, "/location_group")
    check_identifier(body.campaign, "/campaign")
    check_day(body.date, pointer="/date")


def _metadata(metadata: dict[str, str]) -> str:
    for key, value in metadata.items():
        if "\x00" in key or "\x00" in value:  # PostgreSQL stores no NUL in JSON, so the journal could not keep it
            raise invalid("Metadata must not contain NUL.", pointer=f"/metadata/{escape(key)}")
    text = _metadata_text(metadata)
    if len(text) > METADATA_MAX_BYTES:
        detail = f"Metadata may have at most {METADATA_MAX_BYTES} bytes as JSON; this has {len(text)}."
        raise invalid(detail, pointer="/metadata")
    return text.decode()
