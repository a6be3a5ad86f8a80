"""Messages of entries made by hand: which entries are told, under which subject, and with what in them."""

import pytest
from msgspec import json

from atp.domain.entries import (
    Acknowledged,
    AuthorityTaken,
    Committed,
    ExceptionRaised,
    ExceptionResolved,
    Expired,
    Fulfilled,
    Held,
    LedgerOpened,
    PolicyPut,
    ShortageAffected,
    ShortageClosed,
    ShortageFound,
    Touched,
    Transferred,
    Victim,
)
from atp.domain.records import Allocation, Balance, Line, Reservation
from atp.domain.touched import skus_of
from atp.outbox.messages import HEADERS_MAX, Messages, fitting

AT = 1_795_255_200_000  # 2026-11-21T10:00:00Z
MESSAGES = Messages("atp.v1", "shop", 0)


def record(*allocations: Allocation) -> Reservation:
    lines = [Line("1", "TSHIRT", 4, list(allocations))]
    return Reservation("r", AT, AT + 600_000, 9, 2, 7, "shop", "web", "", "A-1", "", "", lines, [])


def test_a_touch_asks_adapters_for_the_number():
    message = MESSAGES.of_entry(Touched(9, AT, "", "", "TSHIRT", "", "erp", ["DC1"], (1, 0, 5), "STOCK/0", 4, 0))
    assert message
    assert (message.subject, message.headers["ce-subject"]) == ("atp.v1.refresh", "TSHIRT")
    assert json.decode(message.data) == {"sku": "TSHIRT", "source": "erp", "position": "0:9"}


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (Held, "held"),
        (Committed, "committed"),
        (Acknowledged, "acknowledged"),
        (Transferred, "transferred"),
        (Fulfilled, "fulfilled"),
        (Expired, "expired"),
    ],
)
def test_changes_of_a_reservation_are_told(kind: type[Fulfilled], what: str) -> None:
    entry = kind(9, AT, "oms", "", record(Allocation("DC1", "", 1, 3)), [Balance("TSHIRT", "DC1", 9, 0, 0, 1, 3)])
    message = MESSAGES.of_entry(entry)
    assert message is not None
    assert message.subject == message.type == f"atp.v1.reservation.{what}"
    assert message.id == "0:9"
    assert message.headers["ce-subject"] == "r"
    assert json.decode(message.data)["position"] == "0:9"
    assert skus_of(entry) == {"TSHIRT"}


def test_a_shipment_and_a_move_show_the_record_as_it_is_afterwards() -> None:
    shipped = record(Allocation("DC1", "", 0, 0), Allocation("DC2", "", 0, 1, acknowledged=1, fulfilled=3))
    message = MESSAGES.of_entry(Fulfilled(9, AT, "oms", "", shipped, []))
    assert message is not None
    data = json.decode(message.data)
    assert data["state"] == "acknowledged"
    (line,) = data["lines"]
    assert (line["committed"], line["acknowledged"], line["fulfilled"]) == (1, 1, 3)
    assert line["allocations"] == [{"location": "DC2", "quantity": 4, "supply": "on_hand"}]


def test_a_shortage_is_told_from_its_beginning_to_its_end() -> None:
    entries = [
        ShortageFound(7, AT, "", "", "TSHIRT", "DC1", 5, "revoke_holds", "newest"),
        ShortageAffected(8, AT, "", "", "TSHIRT", "DC1", 7, [Victim("r", 2, 1, 2)], 3, True),
        ShortageClosed(9, AT, "", "", "TSHIRT", "DC1", 7),
    ]
    messages = [message for entry in entries if (message := MESSAGES.of_entry(entry))]
    assert {message.subject for message in messages} == {"atp.v1.shortage"}
    found, affected, closed = (json.decode(message.data) for message in messages)
    assert (found["event"], found["short_by"], found["policy"]) == ("found", 5, "revoke_holds")
    assert affected["reservations"] == [{"reservation": "r", "held": 2, "committed": 1, "revoked": 2}]
    assert (affected["shortage"], affected["short_by"], affected["last"]) == (found["position"], 3, True)
    assert (closed["event"], closed["shortage"], closed["position"]) == ("closed", "0:7", "0:9")


def test_an_exception_is_told_when_it_is_raised_and_when_it_is_over() -> None:
    raised = MESSAGES.of_entry(ExceptionRaised(7, AT, "", "", "drift", "TSHIRT", "DC1", "", "", "5 of 6"))
    resolved = MESSAGES.of_entry(ExceptionResolved(9, AT, "anna", "", "drift", 7, "accepted", "counted"))
    assert raised is not None
    assert resolved is not None
    assert raised.subject == resolved.subject == "atp.v1.exception"
    told, over = json.decode(raised.data), json.decode(resolved.data)
    assert (told["event"], told["kind"], told["detail"], told["position"]) == ("raised", "drift", "5 of 6", "0:7")
    assert (over["event"], over["exception"], over["resolution"]) == ("resolved", "0:7", "accepted")


def test_what_only_concerns_ourselves_is_not_told() -> None:
    assert MESSAGES.of_entry(AuthorityTaken(3, AT, "", "", "DC1", "wms")) is None


def test_what_may_have_changed_every_sku_is_told_once_and_not_for_each() -> None:
    put = MESSAGES.of_entry(PolicyPut(3, AT, "anna", "", "channel", "web", "{}", 3, []))
    anew = MESSAGES.of_entry(LedgerOpened(9, AT, "", "", 2, 1, 1))
    assert put is not None
    assert anew is not None
    assert put.subject == anew.subject == "atp.v1.network"
    assert json.decode(put.data) == {"reason": "channel", "position": "0:3"}
    assert json.decode(anew.data) == {"reason": "epoch", "position": "0:9"}
    assert MESSAGES.of_entry(PolicyPut(3, AT, "anna", "", "client", "shop", "{}", 3, [])) is None
    assert MESSAGES.of_entry(LedgerOpened(1, AT, "", "", 1, 1, 1)) is None


def test_of_a_reservation_that_nats_does_not_take_what_fits_is_told():
    message = MESSAGES.of_entry(Held(9, AT, "", "", record(Allocation("DC1", "", 4, 0)), []))
    assert message
    whole, size = json.decode(message.data), len(message.data)
    assert fitting(message, size + HEADERS_MAX) is message
    without_places = fitting(message, size + HEADERS_MAX - 1)
    (line,) = whole["lines"]
    assert json.decode(without_places.data) == whole | {"lines": [line | {"allocations": []}]}
    assert without_places.headers == message.headers | {"ce-omitted": "allocations"}
    without_lines = fitting(message, len(without_places.data) + HEADERS_MAX - 1)
    assert json.decode(without_lines.data) == whole | {"lines": []}
    assert without_lines.headers["ce-omitted"] == "lines"
