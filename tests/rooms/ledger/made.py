"""Commands as these tests need them."""

from atp.domain.commands import Change, Confirm, Level, Reserve, ReserveLine
from atp.domain.ids import reservation_id


def level(sku: str, quantity: int, version: int = 1) -> Level:
    return Level(sku, "DC1", "wms", quantity, "sequence", (0, version), "", 0, 0)


def reserve(key: str, sku: str = "A", quantity: int = 1, ttl_ms: int = 600_000) -> Reserve:
    lines = [ReserveLine("1", sku, quantity)]
    return Reserve(reservation_id("shop", key, sku), 1, "shop", "web", "", "", "", "", ttl_ms, lines)


def confirm(key: str, sku: str = "A") -> Confirm:
    return Confirm(reservation_id("shop", key, sku), Change(1, 1), "", [])
