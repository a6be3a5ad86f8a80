"""Decoding: stored records to a state."""

from collections.abc import Callable, Iterable, Iterator
from itertools import batched
from struct import unpack
from typing import Any

import msgspec

from atp.domain.collecting import paused
from atp.domain.commands import TellOrder
from atp.domain.outcomes import Outcome
from atp.domain.records import Leg, Reservation, Shortfall
from atp.domain.state import (
    Announcement,
    Basket,
    Campaign,
    Location,
    Order,
    Position,
    Refusal,
    Shortage,
    Sku,
    Snapshot,
    Source,
    SourceNumber,
    State,
    Supply,
    Sweep,
    Tombstone,
)
from atp.ledger.records.encoding import WHOLE
from atp.ledger.records.page import Page
from atp.ledger.records.stock import decode_position, decode_sku


class RecordsCorrupt(Exception):
    """Records that this release does not write, or that contradict each other; the message says which."""


_unpack = msgspec.msgpack.Decoder().decode
_reservation = msgspec.msgpack.Decoder(Reservation).decode


def decode(pages: Iterable[Page]) -> State:
    """The state that these pages, all of one partition, are of; raises RecordsCorrupt."""
    decoding = Decoding()
    with paused():
        for page in pages:
            decoding.take(page)
        return decoding.finish()


class Decoding:
    """What pages have brought so far."""

    def __init__(self) -> None:
        self.state = State()
        self.takes = TAKE
        self.meta: dict[bytes, bytes] = {}
        self.listed: dict[str, str] = {}  # sku → its locations, as its record lists them
        self.places: dict[str, str] = {}
        self.adjusted: dict[bytes, tuple[int, int, int]] = {}
        self.adjustments: list[bytes] = []
        self.parts: dict[str, dict[int, int]] = {}
        self.refused: dict[int, dict[str, Refusal]] = {}

    def take(self, page: Page) -> None:
        """Raises RecordsCorrupt."""
        kind, _, rest = page.key.partition(":")
        take = self.takes.get(kind)
        if take is None:
            raise RecordsCorrupt(f"{page.key}: no such key")
        try:
            take(self, rest, page.items)
        except (msgspec.DecodeError, ValueError, TypeError, KeyError, UnicodeDecodeError) as problem:
            raise RecordsCorrupt(f"{page.key}: {problem}") from problem

    def position(self, sku: str, at: str) -> Position:
        return self.state.skus.setdefault(sku, Sku()).positions.setdefault(at, Position())

    def finish(self) -> State:
        """The state, once all pages are taken. Raises RecordsCorrupt."""
        state, meta = self.state, {name.decode(): value for name, value in self.meta.items()}
        if "seq" not in meta:
            raise RecordsCorrupt("meta: missing, so there is no ledger")
        for name in _NUMBERS:
            setattr(state, name, int(meta.get(name, 0)))
        state.apart = meta.get("apart") == b"1"
        state.moved = [tuple(m) for m in _unpack(meta.get("moved", b"\x90"))]
        generation = int(meta["refused_gen"])
        state.refused = self.refused.get(generation, {})
        state.refused_before = self.refused.get(generation - 1, {})
        state.adjusted = {int(event): self.adjusted.pop(event) for event in self.adjustments}
        for source, digests in self.parts.items():
            state.snapshots[source].digests = digests
        if problems := list(self._contradictions(meta)):
            raise RecordsCorrupt("; ".join(problems))
        return state

    def _contradictions(self, meta: dict[str, bytes]) -> Iterator[str]:
        yield from self._misplaced()
        state = self.state
        for name in ("shortages", "exceptions", "baskets", "awaited"):
            if int(meta.get(name, 0)) != len(getattr(state, name)):
                yield f"meta: counts {meta.get(name, b'0').decode()} {name}, there are {len(getattr(state, name))}"
        if self.adjusted:
            yield f"adjusted: {len(self.adjusted)} have no place in their order"

    def _misplaced(self) -> Iterator[str]:
        for sku, item in self.state.skus.items():
            listed = self.listed.get(sku, "")
            places = self.places.get(sku, "") if listed == "+" else listed
            if set(filter(None, places.split("\0"))) != item.positions.keys():
                yield f"sku {sku}: its record lists other locations than it has positions"


#: Numbers of ``meta`` that are fields of the state.
_NUMBERS = (
    "epoch", "seq", "last_now", "policy_version", "trimmed", "refused_since", "apart_at", "next_silence",
    "silence_from",
)  # fmt: skip


def _fields(items: list[bytes]) -> Iterator[tuple[str, bytes]]:
    for field, value in batched(items, 2):
        yield field.decode(), value


def _sku(d: Decoding, _: str, items: list[bytes]) -> None:
    for sku, stored in _fields(items):
        d.listed[sku] = decode_sku(d.state.skus.setdefault(sku, Sku()), stored)


def _places(d: Decoding, _: str, items: list[bytes]) -> None:
    d.places.update((sku, text.decode()) for sku, text in _fields(items))


def _pos(d: Decoding, _: str, items: list[bytes]) -> None:
    for place, stored in _fields(items):
        sku, _, at = place.partition("\0")
        decode_position(d.position(sku, at), stored)


def _recent(d: Decoding, place: str, items: list[bytes]) -> None:
    sku, at, source = place.split("\0")
    remember(d.position(sku, at), source, items)


def remember(position: Position, source: str, items: list[bytes]) -> None:
    """Fill the source's memory of deltas."""
    known = position.sources.setdefault(source, SourceNumber())
    for event, packed in _fields(items):
        *parts, quantity = unpack(">HIIi", packed)
        version = parts[0], parts[1], parts[2]
        known.recent[version if ":" in event else int(event)] = version, quantity


def _supply(d: Decoding, _: str, items: list[bytes]) -> None:
    for key, stored in _fields(items):
        sku, at, id = key.split("\0")
        _, day, starts_at, quantity, received, source, version, receipts, *rest = _unpack(stored)
        told, as_of, others = rest if len(rest) == 3 else (bool(rest), 0, [])  # as before there could be several words
        words = msgspec.convert(others, list[Announcement])
        supply = Supply(day, starts_at, quantity, received, source, tuple(version), receipts, bool(told), as_of, words)
        d.state.supplies[sku, at, id] = supply


def _adjusted(d: Decoding, _: str, items: list[bytes]) -> None:
    d.adjusted.update((event, tuple(_unpack(told))) for event, told in batched(items, 2))


def _adjustments(d: Decoding, _: str, items: list[bytes]) -> None:
    d.adjustments += items


def _res(d: Decoding, _: str, items: list[bytes]) -> None:
    for identity, stored in _fields(items):
        if stored[:1] == WHOLE[:1]:
            d.state.reservations[identity] = decode_reservation(identity, stored)
        else:
            d.state.tombstones[identity] = decode_tombstone(identity, stored)


def decode_reservation(identity: str, stored: bytes) -> Reservation:
    """A whole record, whose id is the bucket at its end and the identity. Raises ValueError."""
    if stored[: len(WHOLE)] != WHOLE:
        raise ValueError("stored records start with their format")
    id = stored[-3:] + identity.encode()
    text = b"\xd9" + bytes((len(id),)) + id
    return _reservation(b"\x9f" + text + stored[len(WHOLE) : -4])


def decode_tombstone(identity: str, stored: bytes) -> Tombstone:
    """What an ended reservation left."""
    _, fingerprint, bucket, state, seq, changes = _unpack(stored)
    return Tombstone(bucket + identity, fingerprint, state, seq, [tuple(change) for change in changes])


def _queue(name: str) -> "Take":
    def take(d: Decoding, _: str, items: list[bytes]) -> None:
        getattr(d.state, name).extend(tuple(_unpack(item)) for item in items)

    return take


def _scores(name: str) -> "Take":
    def take(d: Decoding, _: str, items: list[bytes]) -> None:
        scores = getattr(d.state, name)
        for score, member in batched(items, 2):
            scores[member.decode()] = int(score)

    return take


def _counts(name: str, key: Callable[[str], Any] = str) -> "Take":
    def take(d: Decoding, _: str, items: list[bytes]) -> None:
        getattr(d.state, name).update((key(field), int(value)) for field, value in _fields(items))

    return take


def _formatted(name: str, type: Any, key: Callable[[str], Any] = str) -> "Take":
    """Records that are the slots of a struct behind their format."""

    def take(d: Decoding, _: str, items: list[bytes]) -> None:
        records = getattr(d.state, name)
        for field, stored in _fields(items):
            _, *slots = _unpack(stored)
            names = type.__struct_fields__[: len(slots)]
            records[key(field)] = msgspec.convert(dict(zip(names, slots, strict=True)), type)

    return take


def _place(field: str) -> tuple[str, ...]:
    return tuple(field.split("\0"))


def _buyers(d: Decoding, campaign: str, items: list[bytes]) -> None:
    for field, value in _fields(items):
        sku, _, customer = field.partition("\0")
        d.state.buyers[campaign, sku, customer] = int(value)


def _refused(d: Decoding, generation: str, items: list[bytes]) -> None:
    refused = d.refused.setdefault(int(generation), {})
    for identity, stored in _fields(items):
        fingerprint, outcome, shortfalls, detail = _unpack(stored)
        shortfalls = msgspec.convert(shortfalls, list[Shortfall])
        refused[identity] = Refusal(fingerprint, Outcome(outcome), shortfalls, detail)


def _orders(d: Decoding, _: str, items: list[bytes]) -> None:
    d.state.orders.update((ref, decode_order(ref, stored)) for ref, stored in _fields(items))


def decode_order(_: str, stored: bytes) -> Order:
    """What is known of an order_ref."""
    _, ids, events, waiting = _unpack(stored)
    return Order(ids, events, msgspec.convert(waiting, list[tuple[int, TellOrder]]))


def _policy(d: Decoding, _: str, items: list[bytes]) -> None:
    for field, stored in _fields(items):
        kind, _, id = field.partition("/")
        version, body = _unpack(stored)
        d.state.policies[kind, id] = version, body


def _authority(d: Decoding, _: str, items: list[bytes]) -> None:
    d.state.authorities.update((at, source.decode()) for at, source in _fields(items))


def _parts(d: Decoding, source: str, items: list[bytes]) -> None:
    d.parts.setdefault(source, {}).update((int(part), int(digest)) for part, digest in _fields(items))


def _legs(d: Decoding, _: str, items: list[bytes]) -> None:
    for id, stored in _fields(items):
        d.state.legs[id] = msgspec.convert([id, *_unpack(stored)[1:]], Leg)


def _meta(d: Decoding, _: str, items: list[bytes]) -> None:
    d.meta.update((name, value) for name, value in batched(items, 2))


#: Puts the items of a page where they belong; the text is what follows the kind in the page's key.
Take = Callable[[Decoding, str, list[bytes]], None]

TAKE: dict[str, Take] = {
    "meta": _meta,
    "sku": _sku,
    "places": _places,
    "pos": _pos,
    "recent": _recent,
    "supply": _supply,
    "adjusted": _adjusted,
    "adjustments": _adjustments,
    "res": _res,
    "ended": _queue("ended"),
    "buried": _queue("buried"),
    "due": _scores("due"),
    "holding": _counts("holding", _place),
    "buyers": _buyers,
    "refused": _refused,
    "orders": _orders,
    "awaited": _scores("awaited"),
    "shortage": _formatted("shortages", Shortage, _place),
    "exception": _counts("exceptions"),
    "policy": _policy,
    "authority": _authority,
    "campaign": _formatted("campaigns", Campaign),
    "source": _formatted("sources", Source),
    "location": _formatted("locations", Location),
    "cursor": _counts("cursors"),
    "snapshot": _formatted("snapshots", Snapshot),
    "parts": _parts,
    "sweep": _formatted("sweeps", Sweep, int),
    "baskets": _formatted("baskets", Basket),
    "legs": _legs,
    "undecided": _scores("undecided"),
    "contended": _counts("contended", _place),
    "following": _counts("following"),
}
