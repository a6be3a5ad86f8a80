"""History: what one entry changed, as people read it: fields with their value before and after.

An entry holds what was afterwards (R35). What was before is in the entry before it, if that is at hand, or can be told
from the entry itself.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, json, structs

from atp.domain.entries import (
    Adjusted,
    AnyEntry,
    DeadlinesMoved,
    DeltaApplied,
    LegDropped,
    LegFollowed,
    LegTaken,
    LevelSet,
    PolicyPut,
    ReturnTaken,
    StatusSet,
    SupplyReceived,
)
from atp.domain.records import Balance, Reservation
from atp.domain.times import rfc3339

#: Fields of entries that are shown in another way, or say nothing to people.
_APART = {
    "seq", "at", "client", "cause", "balances", "reservation", "record", "leg", "version", "key", "change", "body",
    "event",
}  # fmt: skip

#: Fields that are times in ms.
_TIMES = {"as_of", "starts_at", "until", "heard_at", "ledger_now", "sender_now", "deadline"}

_UNITS = ("held", "committed", "acknowledged", "fulfilled", "released", "expired")


class Changed(Struct, omit_defaults=True, frozen=True):
    """One field."""

    field: Annotated[str, Meta(description="Such as `state`, `number`, or `lines/1/DC1/held`.")]
    after: Annotated[Any, Meta(description="Null if there is nothing any more.")]
    before: Annotated[
        Any | UnsetType, Meta(description="Absent where the journal cannot tell; null if there was nothing.")
    ] = UNSET


class BalanceView(Struct, frozen=True):
    """A position after the entry."""

    sku: str
    location: str
    number: Annotated[int, Meta(description="What the source says that counts here.")]
    unsellable: int
    safety_stock: int
    held: int
    committed: int
    free: Annotated[int, Meta(description="Units that could still be promised here; negative in a shortage.")]


def changes(entry: AnyEntry, before: AnyEntry | None) -> list[Changed]:
    """What the entry changed. ``before`` is the one before it about the same thing, as far as it is known."""
    match entry:
        case LevelSet() | SupplyReceived() | ReturnTaken():  # some of what arrived may be in the number already
            return [Changed("number", entry.number, getattr(before, "number", UNSET))]
        case DeltaApplied() | Adjusted():
            return [Changed("number", entry.number, entry.number - entry.quantity)]
        case StatusSet():
            return [Changed("unsellable", entry.unsellable, getattr(before, "unsellable", UNSET))]
        case PolicyPut():
            known = _policy(before) if isinstance(before, PolicyPut) else {} if entry.version == entry.seq else None
            return _differences(_policy(entry), known)
    record = getattr(entry, "reservation", None)
    if not isinstance(record, Reservation):
        return []
    known = getattr(before, "reservation", None)
    if isinstance(known, Reservation) and known.first_seq == record.first_seq:
        return _differences(_fields(record), _fields(known))
    return _differences(_fields(record), {} if record.first_seq == entry.seq else None)


def facts(entry: AnyEntry) -> dict[str, Any]:
    """What else the entry says, by the names of its fields (docs/reference/history.md)."""
    if isinstance(entry, LegTaken | LegDropped | LegFollowed):
        return {"reservation": entry.leg.id, "attempt": entry.leg.attempt}
    found = {name: value for name, value in structs.asdict(entry).items() if name not in _APART}
    if isinstance(entry, PolicyPut):
        return {"kind": entry.kind, "id": entry.id, "version": entry.version}
    times = _TIMES | {"after", "through"} if isinstance(entry, DeadlinesMoved) else _TIMES
    found |= {name: rfc3339(found[name]) for name in times & found.keys() if found[name]}
    version = getattr(entry, "version", None)
    if isinstance(version, tuple | list):
        found["version"] = str((version[1] << 32) + version[2])
    if isinstance(reservation := getattr(entry, "reservation", None), str):
        found["reservation"] = reservation
    return {name: value for name, value in found.items() if value not in ("", 0, [])}


def balance_view(balance: Balance) -> BalanceView:
    """One position."""
    return BalanceView(
        balance.sku, balance.location, balance.number, balance.unsellable, balance.safety_stock, balance.held,
        balance.committed, balance.free,
    )  # fmt: skip


def _differences(after: dict[str, Any], before: dict[str, Any] | None) -> list[Changed]:
    """``before`` None: nobody knows, so all that is there now is told."""
    if before is None:
        return [Changed(name, value) for name, value in after.items()]
    return [
        Changed(name, after.get(name), before.get(name))
        for name in dict.fromkeys([*before, *after])
        if after.get(name) != before.get(name)
    ]


def _fields(record: Reservation) -> dict[str, Any]:
    found: dict[str, Any] = {"state": record.state, "expires_at": rfc3339(record.expires_at)}
    found |= {name: value for name in ("order_ref", "customer", "campaign") if (value := getattr(record, name))}
    for line in record.lines:
        for a in line.allocations:
            at = f"lines/{line.line_id}/{a.location}{'@' if a.supply else ''}{a.supply}"
            for name in _UNITS:
                if units := getattr(a, name):
                    found[f"{at}/{name}"] = found.get(f"{at}/{name}", 0) + units
    return found


def _policy(entry: PolicyPut) -> dict[str, Any]:
    """The body's fields; of a client's keys only what tells them apart."""
    body: dict[str, Any] = json.decode(entry.body)
    if entry.kind == "client":
        body["keys"] = [key["prefix"] for key in body.get("keys", [])]
    return body
