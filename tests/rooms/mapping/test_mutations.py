"""Whatever arrives, a mapping answers with canonical events or one precise refusal."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atp.mapping import Event, Message, Refused
from tests.rooms.mapping.mutating import mutated
from tests.rooms.mapping.vendors import VENDORS, captured, shop

SHOPS = {vendor: shop(vendor) for vendor in VENDORS}


def told(refused: Refused) -> None:
    """It says something, and every terminal can print it."""
    assert refused.detail
    str(refused).encode()


def check(event: Event) -> None:
    """It can be sent, and what the contract bounds is within its bounds."""
    data = msgspec.json.decode(event.encoded())
    assert event.type.startswith("atp.stock.")
    assert 1 <= len(event.id) <= 256
    assert (event.sequence is not None) != bool(event.time)
    assert 1 <= len(data["lines"]) <= 1_000
    positions = [(line["sku"], line["location"]) for line in data["lines"]]
    assert len(positions) == len(set(positions)) or event.type == "atp.stock.delta.v1"
    for line in data["lines"]:
        assert 1 <= len(line["sku"]) <= 64
        assert abs(line["quantity"]) <= 1_000_000_000


@pytest.mark.parametrize("vendor", VENDORS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_only_events_or_a_refusal(vendor: str, data: st.DataObject) -> None:
    message = data.draw(mutated(vendor))
    try:
        mapped = SHOPS[vendor].apply(message, "src")
    except Refused as refused:
        told(refused)
        return
    for event in mapped.events:
        check(event)
    assert len({event.id for event in mapped.events}) == len(mapped.events)
    assert mapped == SHOPS[vendor].apply(message, "src")


@given(body=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes(body: bytes) -> None:
    for vendor in VENDORS:
        try:
            SHOPS[vendor].apply(Message(body), "src")
        except Refused as refused:
            told(refused)


def test_the_unchanged_messages_do_yield_events() -> None:
    assert all(SHOPS[vendor].apply(captured(vendor), "src").events for vendor in VENDORS)
