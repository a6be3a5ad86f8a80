"""Encoding: a state to its stored records; the top of lua/head.lua says what every slot is."""

from collections.abc import Iterable, Iterator, Sequence
from struct import pack

import msgspec

from atp.domain.records import Reservation
from atp.domain.state import INCOMPLETE_MS, SourceNumber, State, Supply
from atp.ledger.records.lazy import decoded, undecoded
from atp.ledger.records.page import Page, hash_pages, list_pages, score_pages
from atp.ledger.records.stock import encode_position, encode_sku

FORMAT = 1

#: Bytes of a location list inside the sku's record; a longer one has a field of its own.
PLACES_MAX = 128

#: A whole reservation is an array of 16, which starts with its format; a tombstone is a shorter one.
WHOLE = b"\xdc\x00\x10\x01"

_pack = msgspec.msgpack.Encoder().encode

#: Generation of refusals that a restored ledger begins with; the one before has the older ones.
_GENERATION = 2


def encode(state: State, partition: int = 0, partitions: int = 1, law: int = 1) -> Iterator[Page]:
    """All records of a partition, ``meta`` last: as long as that is not stored, there is no ledger (R2)."""
    yield from _stock(state)
    yield from _reservations(state)
    yield from _orders(state)
    yield from _policies(state)
    yield from _sources(state)
    yield from _baskets(state)
    yield from hash_pages("meta", _meta(state, partition, partitions, law))


def _stock(state: State) -> Iterator[Page]:
    yield from undecoded(state.skus)
    skus, many = decoded(state.skus), list[tuple[str, bytes]]()
    for sku, item in skus.items():
        places = "\0".join(item.positions).encode()
        if len(places) > PLACES_MAX:
            many.append((sku, places))
    yield from hash_pages("places", many)
    apart = {sku for sku, _ in many}
    yield from hash_pages("sku", ((sku, encode_sku(item, sku in apart)) for sku, item in skus.items()))
    positions = ((sku, at, position) for sku, item in skus.items() for at, position in item.positions.items())
    yield from hash_pages("pos", ((f"{sku}\0{at}", encode_position(position)) for sku, at, position in positions))
    for sku, item in skus.items():
        for at, position in item.positions.items():
            for source, known in position.sources.items():
                if known.recent:
                    yield from hash_pages(f"recent:{sku}\0{at}\0{source}", _recent(known))
    yield from hash_pages("supply", (("\0".join(key), _supply(supply)) for key, supply in state.supplies.items()))
    yield from hash_pages("adjusted", ((str(event), _pack(told)) for event, told in state.adjusted.items()))
    yield from list_pages("adjustments", (b"%d" % event for event in state.adjusted))


def _supply(x: Supply) -> bytes:
    return _pack(
        [
            FORMAT, x.day, x.starts_at, x.quantity, x.received, x.source, x.version, x.receipts, x.told, x.as_of,
            x.others,
        ]
    )  # fmt: skip


def _recent(known: SourceNumber) -> Iterator[tuple[str, bytes]]:
    for event, (version, quantity) in known.recent.items():
        name = str(event) if isinstance(event, int) else ":".join(map(str, event))
        yield name, pack(">HIIi", *version, quantity)


def _reservations(state: State) -> Iterator[Page]:
    yield from undecoded(state.reservations)
    yield from undecoded(state.tombstones)
    yield from hash_pages("res", ((identity, _whole(r)) for identity, r in decoded(state.reservations).items()))
    yield from hash_pages(
        "res",
        (
            (identity, _pack([FORMAT, t.fingerprint, t.id[:3], t.state, t.seq, t.changes]))
            for identity, t in decoded(state.tombstones).items()
        ),
    )
    yield from list_pages("ended", map(_pack, state.ended))
    yield from list_pages("buried", map(_pack, state.buried))
    yield from undecoded(state.due)
    yield from score_pages("due", decoded(state.due).items())
    yield from hash_pages("holding", _counts(("\0".join(key), n) for key, n in state.holding.items()))
    for campaign in dict.fromkeys(key[0] for key in state.buyers):
        counts = ((f"{sku}\0{customer}", n) for (of, sku, customer), n in state.buyers.items() if of == campaign)
        yield from hash_pages("buyers:" + campaign, _counts(counts))
    for generation, refusals in ((_GENERATION - 1, state.refused_before), (_GENERATION, state.refused)):
        yield from hash_pages(
            f"refused:{generation}",
            ((identity, _pack([r.fingerprint, r.outcome, r.shortfalls, r.detail])) for identity, r in refusals.items()),
        )


def _whole(r: Reservation) -> bytes:
    """An answer's array of 15 begins with the id; the stored one has the format there, and the bucket behind."""
    packed = _pack(r)
    head = 2 + len(r.id.encode()) if len(r.id) < 32 else 3 + len(r.id.encode())
    return WHOLE + packed[head:] + b"\xa3" + r.id[:3].encode()


def _orders(state: State) -> Iterator[Page]:
    orders = decoded(state.orders).items()
    yield from undecoded(state.orders)
    yield from hash_pages("orders", ((ref, _pack([FORMAT, x.ids, x.events, x.waiting])) for ref, x in orders))
    yield from score_pages("awaited", state.awaited.items())
    yield from hash_pages(
        "shortage",
        (
            ("\0".join(place), _pack([FORMAT, *msgspec.structs.astuple(open)]))
            for place, open in state.shortages.items()
        ),
    )
    yield from hash_pages("exception", _counts(state.exceptions.items()))


def _policies(state: State) -> Iterator[Page]:
    yield from hash_pages("policy", (("/".join(key), _pack(policy)) for key, policy in state.policies.items()))
    yield from hash_pages("authority", ((at, source.encode()) for at, source in state.authorities.items()))
    yield from hash_pages(
        "campaign", ((id, _pack([FORMAT, x.phase, x.since, x.skus])) for id, x in state.campaigns.items())
    )


def _sources(state: State) -> Iterator[Page]:
    yield from hash_pages("source", _formatted(state.sources.items()))
    yield from hash_pages("location", _formatted(state.locations.items()))
    yield from hash_pages("cursor", _counts(state.cursors.items()))
    slots = [(source, msgspec.structs.astuple(found)) for source, found in state.snapshots.items()]
    yield from hash_pages("snapshot", ((source, _pack([FORMAT, *found[:-1]])) for source, found in slots))
    for source, found in state.snapshots.items():
        yield from hash_pages("parts:" + source, _counts((str(part), n) for part, n in found.digests.items()))
    yield from hash_pages("sweep", _formatted((str(seq), sweep) for seq, sweep in state.sweeps.items()))


def _baskets(state: State) -> Iterator[Page]:
    yield from hash_pages("baskets", _formatted(state.baskets.items()))
    legs = ((id, msgspec.structs.astuple(leg)[1:]) for id, leg in state.legs.items())
    yield from hash_pages("legs", ((id, _pack([FORMAT, *slots])) for id, slots in legs))
    yield from score_pages("undecided", state.undecided.items())
    yield from hash_pages("contended", _counts(("\0".join(place), n) for place, n in state.contended.items()))
    yield from hash_pages("following", _counts(state.following.items()))


def _meta(state: State, partition: int, partitions: int, law: int) -> Iterator[tuple[str, bytes]]:
    """``birth`` is new, for the library keeps what it read of another; void sums are of no ``network``."""
    waiting = [x.since + INCOMPLETE_MS for x in state.snapshots.values() if x.state == "open" and not x.overdue]
    numbers = {
        "law": law, "partition": partition, "partitions": partitions, "epoch": state.epoch, "seq": state.seq,
        "last_now": state.last_now, "policy_version": state.policy_version, "network": 0, "trimmed": state.trimmed,
        "refused_gen": _GENERATION, "refused_since": state.refused_since,
        "apart": int(state.apart), "apart_at": state.apart_at,
        "shortages": len(state.shortages), "exceptions": len(state.exceptions), "baskets": len(state.baskets),
        "awaited": len(state.awaited), "overdue_at": min(waiting, default=0),
        "next_silence": state.next_silence, "silence_from": state.silence_from,
    }  # fmt: skip
    yield from _counts(numbers.items())
    yield "moved", _pack(state.moved)
    yield "birth", b"restored.%d.%d" % (state.epoch, state.seq)


def _counts(counts: Iterable[tuple[str, int]]) -> Iterator[tuple[str, bytes]]:
    for name, n in counts:
        yield name, b"%d" % n


def _formatted(structs: Iterable[tuple[str, msgspec.Struct]]) -> Iterator[tuple[str, bytes]]:
    """Records that are the slots of a struct behind their format."""
    for name, struct in structs:
        slots: Sequence[object] = msgspec.structs.astuple(struct)
        yield name, _pack([FORMAT, *slots])
