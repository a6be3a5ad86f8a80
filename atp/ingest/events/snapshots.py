"""Snapshots: a part of all that a source counts, as of one version that every part states alike (R13)."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from atp.domain.commands import Command, Level
from atp.domain.identifiers import REF_MAX, LocationId
from atp.domain.ids import digest53
from atp.domain.snapshots import SnapshotPart
from atp.ingest.events.checks import check_distinct, check_identifier, check_keys, check_places
from atp.ingest.events.levels import LevelLine, booked, check_includes
from atp.ingest.events.told import Told, Version
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.strictjson import decoder_of

#: Parts of one snapshot; with 1,000 lines each they are far more than one source has.
PARTS_MAX = 100_000

_Part = Annotated[int, Meta(ge=1, le=PARTS_MAX)]


class AsOf(Struct, forbid_unknown_fields=True):
    """The version of a snapshot."""

    sequence: str | int | UnsetType = UNSET
    time: str | UnsetType = UNSET


class SnapshotData(Struct, forbid_unknown_fields=True):
    """A part of a snapshot."""

    snapshot_id: Annotated[str, Meta(min_length=1, max_length=REF_MAX)]
    as_of: AsOf
    part: _Part
    parts: _Part
    full: bool
    lines: Annotated[list[LevelLine], Meta(max_length=1_000)]
    locations: Annotated[list[LocationId], Meta(max_length=1_000)] | UnsetType = UNSET


_decode = decoder_of(SnapshotData)
_encode = msgspec.msgpack.Encoder().encode


def snapshot(told: Told) -> list[Command]:
    """The part, then a level a line at the version of the snapshot. Raises Rejected."""
    event, root = told.event, told.event.root
    data = _decode(event.data, root, Reason.INVALID_DATA)
    check_identifier(data.snapshot_id, f"{root}.snapshot_id", REF_MAX)
    if data.part > data.parts:
        raise Rejected(Reason.INVALID_DATA, f"{root}.part: {data.part} of {data.parts} parts")
    version = _version(told, data.as_of)
    locations = _locations(data, root)
    check_places(data.lines, root)
    measure = _measure(data.lines, root)
    check_keys(event.data, _keys(data, event.data))
    check_distinct(data.lines, root)
    part = SnapshotPart(
        told.source, data.snapshot_id, version.kind, version.number, told.stream, told.position,
        data.parts, data.part, digest53(_encode(data.lines)) or 1, data.full, locations, version.as_of,
        measure, False, event.cause,
    )  # fmt: skip
    levels = [
        Level(
            line.sku, line.location, told.source, line.quantity, version.kind, version.number,
            told.stream, told.position, version.as_of, measure, event.cause,
            [] if line.includes is UNSET else line.includes.orders,
        )
        for line in data.lines
    ]  # fmt: skip
    return [part, *booked(told, version, data.lines, measure), *levels]


def _version(told: Told, as_of: AsOf) -> Version:
    """What the content is as of; when it was sent says nothing about it.

    With a sequence alone nobody knows when that was, so no shipment counts as shown by these levels (R8).
    """
    sequence = "" if as_of.sequence is UNSET else str(as_of.sequence)
    try:
        return told.version_of(sequence, "" if as_of.time is UNSET else as_of.time)
    except Rejected as rejected:
        raise Rejected(rejected.reason, f"{told.event.root}.as_of: {rejected.detail}") from None


def _locations(data: SnapshotData, root: str) -> list[str]:
    """The locations it speaks for, in an order that does not depend on who lists them."""
    named = [] if data.locations is UNSET else data.locations
    for index, location in enumerate(named):
        check_identifier(location, f"{root}.locations[{index}]")
    if data.full and not named:
        raise Rejected(
            Reason.INVALID_DATA, f"{root}.locations: a full snapshot names the locations whose other skus have nothing"
        )
    if len(set(named)) != len(named):
        twice = next(location for index, location in enumerate(named) if location in named[:index])
        raise Rejected(Reason.INVALID_DATA, f"{root}.locations: {twice!r} stands there twice")
    return sorted(named)


def _measure(lines: list[LevelLine], root: str) -> str:
    """What all lines count: a part is taken or refused as a whole. Raises Rejected."""
    measure = ""
    for index, line in enumerate(lines):
        if line.includes is not UNSET:
            check_includes(line.includes, f"{root}.lines[{index}].includes")
        if line.measure is not UNSET and line.measure != measure:
            if measure:
                raise Rejected(
                    Reason.INVALID_DATA, f"{root}.lines[{index}].measure is {line.measure}, that of others {measure}"
                )
            measure = line.measure
    return measure


def _keys(data: SnapshotData, text: bytes | Raw) -> int:
    """Colons that keys bring, and those of the one value that always has some."""
    named = [data.locations, data.as_of.sequence, data.as_of.time]
    times = 0 if data.as_of.time is UNSET else data.as_of.time.count(":")
    options = sum(line.measure is not UNSET for line in data.lines)
    options += sum(1 + line.includes.told() for line in data.lines if line.includes is not UNSET)
    return 6 + sum(value is not UNSET for value in named) + times + 3 * len(data.lines) + options
