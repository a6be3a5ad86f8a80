"""Records of skus and positions, both ways: the many ones."""

from typing import Any

import msgspec

from atp.domain.projection import Day
from atp.domain.state import Aside, Position, Seller, Sku, SourceNumber

FORMAT = 1

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def encode_sku(item: Sku, apart: bool) -> bytes:
    """``apart``: its locations have a field of their own. Its sums and empty places are void."""
    safety = [word for at, units in item.safety_stock_by_location.items() for word in (at, units)]
    sellers = [(who, x.protection, x.cap, x.used, x.since, x.version) for who, x in item.sellers.items()]
    places = "+" if apart else "\0".join(item.positions)
    return _pack(
        [FORMAT, item.seq, item.policy_version, item.policy, item.safety_stock, safety, places, sellers, [], []]
    )


def decode_sku(item: Sku, stored: bytes) -> str:
    """Fill the sku, but for its positions; returns its locations as one text, "+" if they are apart."""
    _, item.seq, item.policy_version, item.policy, item.safety_stock, safety, places, sellers, *_ = _unpack(stored)
    item.safety_stock_by_location = dict(zip(safety[::2], safety[1::2], strict=True))
    item.sellers = {who: Seller(*share) for who, *share in sellers}
    return places


def encode_position(p: Position) -> bytes:
    """Days in their order; units set aside only where there are any."""
    slots: list[Any] = [
        FORMAT, p.held, p.committed, 0, [_number(source, n) for source, n in p.sources.items()],
        [word for item in p.shipped.items() for word in item] if p.shipped else [],
        _days(p.supply) if p.supply else [],
    ]  # fmt: skip
    if p.aside:
        slots.append([(x.kind, x.source, x.version, x.minute, x.units, x.events) for x in p.aside])
    return _pack(slots)


def decode_position(p: Position, stored: bytes) -> None:
    """Fill the position, but for the memory of deltas, which has keys of its own."""
    _, p.held, p.committed, _, numbers, shipped, days, *rest = _unpack(stored)
    for source, *slots in numbers:
        _fill_number(p.sources.setdefault(source, SourceNumber()), slots)
    p.shipped = dict(zip(shipped[::2], shipped[1::2], strict=True))
    if days[::5] != sorted(days[::5], key=str.encode):
        raise ValueError("days are not in their order")
    p.supply = {days[i]: Day(*days[i + 1 : i + 5]) for i in range(0, len(days), 5)}
    p.aside = [Aside(kind, source, tuple(version), *told) for kind, source, version, *told in (rest[0] if rest else ())]


def _days(supply: dict[str, Day]) -> list[Any]:
    days = [(name, supply[name]) for name in sorted(supply, key=str.encode)]
    return [word for name, x in days for word in (name, x.starts_at, x.quantity, x.pegged, x.due)]


def _number(source: str, n: SourceNumber) -> list[Any]:
    marked = n.returned or n.uncertain or n.forgotten_at
    return [
        source, n.number, n.has_level, n.version, n.tie, n.floor, n.as_of, n.included,
        [word for version, units in n.pending.items() for word in (*version, units)] if n.pending else [],
        n.unsellable, n.status, n.level_at, [n.returned, int(n.uncertain), n.forgotten_at] if marked else [],
        *([n.touched] if n.touched else []),
    ]  # fmt: skip


def _fill_number(n: SourceNumber, slots: list[Any]) -> None:
    """Records of earlier releases have neither ``level_at`` nor marks; only few have what they were touched by."""
    n.number, n.has_level, version, n.tie, floor, n.as_of, n.included, pending, n.unsellable, status, *rest = slots
    n.version, n.floor, n.status = tuple(version), tuple(floor), tuple(status)
    if pending:
        n.pending = {tuple(pending[i : i + 3]): pending[i + 3] for i in range(0, len(pending), 4)}
    n.level_at, marks, *touched = rest or (0, [])
    n.touched = tuple(touched[0]) if touched else ()
    n.returned, uncertain, n.forgotten_at = marks or (0, 0, 0)
    n.uncertain = bool(uncertain)
