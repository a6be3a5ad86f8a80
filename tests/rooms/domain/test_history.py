"""What an entry changed, told from it and the one before; and a reference that names every kind."""

from pathlib import Path

from msgspec import json

from atp.domain.entries import (
    Adjusted,
    DeltaApplied,
    Held,
    LegTaken,
    LevelSet,
    PolicyPut,
    Released,
    StatusSet,
    Transferred,
)
from atp.domain.history import Changed, changes, facts
from atp.domain.records import Allocation, Leg, Line, Reservation
from atp.journal.rows import KINDS

AT = 1_795_255_200_000  # 2026-11-21T10:00:00Z
REFERENCE = (Path(__file__).parents[3] / "docs/reference/history.md").read_text()


def record(seq: int, *allocations: Allocation) -> Reservation:
    lines = [Line("1", "A", 4, list(allocations))]
    return Reservation("r", AT, AT, seq, 5, 7, "shop", "web", "", "", "", "", lines, [])


def test_every_kind_is_in_the_reference() -> None:
    assert [kind for kind in KINDS.values() if f"`{kind}`" not in REFERENCE] == []


def test_a_first_entry_changes_nothing_into_something() -> None:
    held = Held(5, AT, "shop", "", record(5, Allocation("DC1", "", 4, 0)), [])
    assert changes(held, None) == [
        Changed("state", "held", None), Changed("expires_at", "2026-11-21T10:00:00.000Z", None),
        Changed("lines/1/DC1/held", 4, None),
    ]  # fmt: skip


def test_units_are_told_by_place_and_day() -> None:
    before = Held(5, AT, "shop", "", record(5, Allocation("DC1", "", 4, 0)), [])
    moved = record(6, Allocation("DC1", "", 1, 0), Allocation("DC2", "2026-12-01", 3, 0))
    assert changes(Transferred(6, AT, "oms", "", moved, []), before) == [
        Changed("lines/1/DC1/held", 1, 4), Changed("lines/1/DC2@2026-12-01/held", 3, None),
    ]  # fmt: skip


def test_without_the_entry_before_only_what_is_there_now_is_told() -> None:
    """It may have gone with its day; and one of an earlier reservation under the id says nothing (R18)."""
    released = Released(9, AT, "shop", "", record(9, Allocation("DC1", "", 0, 0, released=4)), [], "over")
    other = Held(3, AT, "shop", "", record(3, Allocation("DC1", "", 9, 0)), [])
    other.reservation.first_seq = 3
    for before in (None, other):
        told = {each.field: each for each in changes(released, before)}
        assert told["lines/1/DC1/released"] == Changed("lines/1/DC1/released", 4)
    assert facts(released) == {"reason": "over"}


def test_numbers_tell_what_was_before() -> None:
    version, rest = (1, 0, 7), ("STOCK", 3, AT)
    level = LevelSet(6, AT, "", "", "A", "DC1", "wms", 10, 12, version, *rest, [])
    delta = DeltaApplied(7, AT, "", "", "A", "DC1", "wms", -3, 9, version, *rest, 99, [])
    adjusted = Adjusted(8, AT, "anna", "", "A", "DC1", "wms", 2, 11, version, 1, 1, "found", [])
    status = StatusSet(9, AT, "", "", "A", "DC1", "wms", 3, version, *rest, [])
    assert changes(level, delta) == [Changed("number", 12, 9)]
    assert changes(level, None) == [Changed("number", 12)]
    assert changes(delta, None) == [Changed("number", 9, 12)]
    assert changes(adjusted, None) == [Changed("number", 11, 9)]
    assert changes(status, status) == [Changed("unsellable", 3, 3)]
    assert facts(level)["version"] == "7"
    assert facts(level)["as_of"] == "2026-11-21T10:00:00.000Z"


def test_a_policy_tells_its_fields_and_no_hash_of_a_key() -> None:
    def put(seq: int, **body: object) -> PolicyPut:
        return PolicyPut(seq, AT, "atp keys", "", "client", "shop", json.encode(body).decode(), seq, [])

    key = {"prefix": "abc", "sha256": "secret", "created_at": ""}
    one, two = put(3, scopes=["admin"], keys=[key]), put(4, scopes=["stock:write"], keys=[key])
    assert changes(one, None) == [Changed("scopes", ["admin"], None), Changed("keys", ["abc"], None)]
    assert changes(two, one) == [Changed("scopes", ["stock:write"], ["admin"])]
    assert "secret" not in str([changes(one, None), facts(one)])


def test_a_leg_names_its_basket() -> None:
    leg = Leg("r", 4, 0, AT, [], 5, "shop", "web", "", "")
    assert facts(LegTaken(5, AT, "shop", "", leg, [])) == {"reservation": "r", "attempt": 4}
