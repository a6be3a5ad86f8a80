"""Both sides of the Lua border: commands to arguments, replies to results, outbox items to entries.

Everything travels as msgpack arrays; the structs of ``domain`` are ``array_like`` and so need no translation.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from atp.domain.commands import Command
from atp.domain.entries import AnyEntry
from atp.domain.explain import SkuReading
from atp.domain.records import Asked, Policy, Reservation, SkuStock, SkuUnits, Version
from atp.domain.results import Result
from atp.domain.state import Location, Shortage, Source


class Header(Struct, array_like=True):
    """What every batch says of its sender (R2, R5)."""

    batch: int  # echoed by the reply: a mismatch means the connection is off by one
    process: str
    session: int
    epoch: int
    seq: int  # highest seq this process has seen: a ledger behind it has lost something
    sender_now: int
    now: int = 0  # 0 takes the server's clock; tests bring their own
    settle_max: int = 256


class Reply(Struct, array_like=True):
    """What every batch gets back."""

    batch: int
    epoch: int
    seq: int
    now: int
    next_due: int  # ms of the nearest deadline with grace, 0 if there is none
    policy_version: int
    due_left: bool  # due holds remain to be settled
    unjournaled: int  # entries in the outbox
    spent_us: int  # of the server's CPU, by the script
    results: list[Result]


class Read(Struct, array_like=True):
    """A page of answers: of the first queries of a call, as many as it took its time for, and one at least."""

    call: int  # echoed: another one means that the reply belongs to another call
    spent_us: int  # of the server's CPU, by the script
    answers: list[msgspec.Raw]


class Head(Struct, array_like=True):
    """Where one partition stands."""

    epoch: int
    seq: int
    outbox_length: int  # entries not yet trimmed
    now: int
    law: int
    partitions: int
    policy_version: int
    next_due: int  # ms of the nearest deadline with grace, 0 if there is none


class StoredSnapshot(Struct, array_like=True):
    """The last snapshot of a source as it is stored; ``Snapshot`` says what the slots mean."""

    format: int
    id: str
    seq: int
    version_kind: str
    version: Version
    parts: int
    full: bool
    locations: list[str]
    as_of: int
    since: int
    state: str
    overdue: bool
    arrived: int
    over: list[str]


class StoredSweep(Struct, array_like=True):
    """A sweep as it is stored; ``Sweep`` says what the slots mean."""

    format: int
    source: str
    snapshot: str
    version_kind: str
    version: Version
    locations: list[str]
    as_of: int
    state: str
    counts: list[tuple[str, int, int]]


class Unnamed(Struct, array_like=True):
    """A page of the positions of some locations that a source has a number of."""

    cursor: str  # of the next page, "0" after the last
    counts: list[tuple[str, int]]  # location, positions that are not zero
    unnamed: list[tuple[str, str, bool]]  # sku, location, whether it is not zero: below the version asked about


class WireCorrupt(Exception):
    """A reply or outbox item that is not what the library writes: the connection is closed, nothing is guessed."""


_encode = msgspec.msgpack.Encoder().encode
_reply = msgspec.msgpack.Decoder(Reply)
_entries = msgspec.msgpack.Decoder(list[AnyEntry])


def encode_header(header: Header) -> bytes:
    return _encode(header)


def encode_commands(commands: Sequence[Command]) -> bytes:
    return _encode(commands)


def decode_reply(data: bytes) -> Reply:
    """Raises WireCorrupt for anything that is not a reply."""
    try:
        return _reply.decode(data)
    except (msgspec.DecodeError, TypeError, UnicodeDecodeError) as problem:
        raise WireCorrupt(str(problem)) from problem


def decode_entries(fields: Sequence[bytes]) -> list[AnyEntry]:
    """The entries of one outbox item, given as field, value, field, value."""
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    if named.get(b"f") != b"1":
        raise WireCorrupt(f"outbox item of format {named.get(b'f')!r}; this release reads format 1")
    return _entries.decode(named[b"e"])


_shortage = msgspec.msgpack.Decoder(tuple[int, int, int, str, str, int, int, bool])


def decode_shortage(data: bytes) -> Shortage:
    """A stored shortage; its first slot is the format."""
    try:
        return Shortage(*_shortage.decode(data)[1:])
    except msgspec.DecodeError as problem:
        raise WireCorrupt(str(problem)) from problem


_fields = msgspec.msgpack.Decoder(list[Any])


def decode_source(data: bytes) -> Source:
    """A stored source; its first slot is the format, and one of an earlier release has fewer."""
    try:
        return Source(*_fields.decode(data)[1:])
    except (msgspec.DecodeError, TypeError) as problem:
        raise WireCorrupt(str(problem)) from problem


def decode_location(data: bytes) -> Location:
    """What the ledger keeps of a location beside its policy; the first slot is the format."""
    try:
        return Location(*_fields.decode(data)[1:])
    except (msgspec.DecodeError, TypeError) as problem:
        raise WireCorrupt(str(problem)) from problem


# Kinds of queries the library's read function answers.
def ask_reservation(reservation: str) -> tuple:
    return (1, reservation)


def ask_sku(sku: str, asked: Asked) -> tuple:
    return (2, sku, asked)


def ask_policies(kind: str) -> tuple:
    return (3, kind)


def ask_policy(kind: str, name: str) -> tuple:
    return (4, kind, name)


def ask_cursor(stream: str) -> tuple:
    return (5, stream)


def ask_head() -> tuple:
    return (6,)


def ask_explanation(sku: str, asked: Asked) -> tuple:
    return (7, sku, asked)


def ask_units(sku: str, asked: Asked) -> tuple:
    return (8, sku, asked)


# Questions about snapshots (R13).
def ask_unnamed(cursor: str, limit: int, source: str, locations: Sequence[str], version: Version) -> tuple:
    return (20, cursor, limit, source, locations, version)


def ask_sweeps() -> tuple:
    return (21,)


def ask_snapshot(source: str) -> tuple:
    return (22, source)


# Questions about baskets that span partitions (R3).
def ask_undecided(limit: int) -> tuple:
    return (30, limit)


def ask_following(limit: int) -> tuple:
    return (31, limit)


def ask_open(reservation: str) -> tuple:
    return (32, reservation)


def ask_order(order_ref: str) -> tuple:
    """The skus of the reservations that are home here under this order_ref."""
    return (33, order_ref)


def ask_wrong_sums(skus: Sequence[str]) -> tuple:
    """Those of the skus whose sums are not what their positions say."""
    return (40, list(skus))


def encode_queries(queries: Sequence[tuple]) -> bytes:
    return _encode(queries)


_read = msgspec.msgpack.Decoder(Read)
_decoders = {
    1: msgspec.msgpack.Decoder(Reservation | None),
    2: msgspec.msgpack.Decoder(SkuStock),
    3: msgspec.msgpack.Decoder(list[Policy]),
    4: msgspec.msgpack.Decoder(Policy | None),
    5: msgspec.msgpack.Decoder(int),
    6: msgspec.msgpack.Decoder(Head),
    7: msgspec.msgpack.Decoder(SkuReading),
    8: msgspec.msgpack.Decoder(SkuUnits),
    20: msgspec.msgpack.Decoder(Unnamed),
    21: msgspec.msgpack.Decoder(tuple[list[tuple[int, StoredSweep]], int]),  # by seq; when to tell of an incomplete one
    22: msgspec.msgpack.Decoder(StoredSnapshot | None),
    30: msgspec.msgpack.Decoder(list[tuple[str, int, int]]),  # id, attempt of a leg or 0, of a basket or 0
    31: msgspec.msgpack.Decoder(list[tuple[str, int]]),  # id, home's seq
    32: msgspec.msgpack.Decoder(bool),
    33: msgspec.msgpack.Decoder(list[str]),
    40: msgspec.msgpack.Decoder(list[str]),
}


def decode_read(data: bytes) -> Read:
    """Raises WireCorrupt for anything that is not a page of answers."""
    try:
        return _read.decode(data)
    except (msgspec.DecodeError, ValueError, TypeError) as problem:
        raise WireCorrupt(str(problem)) from problem


def decode_answers(queries: Sequence[tuple], answers: Sequence[msgspec.Raw]) -> list:
    """An answer per query, decoded by its kind; there may be fewer answers. Raises WireCorrupt."""
    try:
        return [_decoders[query[0]].decode(answer) for query, answer in zip(queries, answers, strict=False)]
    except (msgspec.DecodeError, ValueError, TypeError) as problem:
        raise WireCorrupt(str(problem)) from problem
