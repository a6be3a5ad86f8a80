"""What a mapping yields is what this room reads: every event of every vendor, also of messages changed at random."""

import pytest
from hypothesis import given
from hypothesis import settings as times
from hypothesis import strategies as st

from atp.domain.commands import Delta, Level
from atp.ingest import Settings
from atp.ingest.feed import headers_of, subject_of
from atp.ingest.mapped import to_publish
from atp.ingest.messages import Decoder, Message
from atp.mapping import Event, Refused
from tests.rooms.mapping.mutating import mutated
from tests.rooms.mapping.vendors import VENDORS, captured, shop

SETTINGS = Settings()
SHOPS = {vendor: shop(vendor) for vendor in VENDORS}
LATER_US = 1 << 60  # nothing is in the future


def decoded(event: Event) -> list[object]:
    sent = to_publish(event)
    message = Message(subject_of(sent, SETTINGS), headers_of(sent), sent.data, 1)
    return list(Decoder(SETTINGS).decode(message, LATER_US).commands)


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_vendors_payloads_become_commands(vendor: str) -> None:
    commands = [command for event in SHOPS[vendor].apply(captured(vendor), "src").events for command in decoded(event)]
    assert commands
    assert all(isinstance(command, Level | Delta) and command.source == "src" for command in commands)


@pytest.mark.parametrize("vendor", VENDORS)
@given(data=st.data())
@times(max_examples=40, deadline=None)
def test_no_event_of_a_mapping_is_rejected(vendor: str, data: st.DataObject) -> None:
    try:
        events = SHOPS[vendor].apply(data.draw(mutated(vendor)), "src").events
    except Refused:
        return
    for event in events:
        decoded(event)


def test_deltas_known_by_their_content_alone_say_so() -> None:
    event = Event("s", "0a", "atp.stock.delta.v1", {"lines": []}, 1, weak=True)
    assert headers_of(to_publish(event))["atp-dedup"] == "weak"
    event.type = "atp.stock.level.v1"
    assert "atp-dedup" not in headers_of(to_publish(event))
