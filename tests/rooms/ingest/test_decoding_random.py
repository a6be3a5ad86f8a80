"""Whatever arrives, it is either commands or a reason."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from atp.domain.commands import Heartbeat, Status, TellOrder
from atp.ingest.events import TYPES
from atp.ingest.messages import Decoder, Message
from atp.ingest.reasons import Reason, Rejected
from atp.ingest.settings import Settings

_DECODER = Decoder(Settings())

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70)
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
_quantities = st.integers(-(10**9), 10**9) | st.integers() | _scalars
_lines = st.fixed_dictionaries(
    {"sku": st.text(max_size=66) | _json, "location": st.text(max_size=66) | _json, "quantity": _quantities},
    optional={
        "measure": st.sampled_from(["on_hand", "available"]) | _json,
        "reason": _json,
        "includes": _json,
        "unsellable": _quantities,
        "expected_on": st.dates().map(str) | _json,
    },
)
_data = (
    st.fixed_dictionaries(
        {"lines": st.lists(_lines, max_size=3) | _json},
        optional={
            "order_ref": st.text(max_size=130),
            "complete": _json,
            "supply_id": st.text(max_size=130) | _json,
            "sku": st.text(max_size=66),
        },
    )
    .map(json.dumps)
    .map(str.encode)
)
_payloads = st.binary() | _json.map(json.dumps).map(str.encode) | _data
_values = st.text() | st.sampled_from(["1.0", *TYPES, "7", "2026-01-01T00:00:00Z", "text/json"])
_attributes = ["id", "type", "specversion", "sequence", "time", "datacontenttype"]
_names = st.sampled_from([f"ce-{name}" for name in _attributes] + ["Content-Type", "traceparent"])
_headers = st.none() | st.dictionaries(_names | st.text(), _values)
_good = st.fixed_dictionaries(
    {
        "ce-specversion": st.just("1.0"),
        "ce-id": st.text(),
        "ce-type": st.sampled_from(sorted(TYPES)),
        "ce-sequence": st.just("7") | st.text(),
    }
)
_structured = st.just({"content-type": "application/cloudevents+json"})
_subjects = st.sampled_from(["stock.v1.erp", "stock.v1.erp.1"]) | st.text()


@settings(max_examples=400, deadline=None)
@given(_subjects, _headers | _good | _structured, _payloads)
def test_any_message_is_decoded_or_refused_with_a_reason(subject, headers, payload):
    try:
        commands = _DECODER.decode(Message(subject, headers, payload, 1), 1_800_000_000_000_000).commands
    except Rejected as refusal:
        rejected, commands = refusal, []
    else:
        rejected = None
    assert rejected is None or (isinstance(rejected.reason, Reason) and rejected.detail)
    for command in commands:
        found: Any = command  # every kind of event that names a position has these
        if isinstance(found, Heartbeat):
            assert 1 <= len(found.source) <= 64
            continue
        if isinstance(found, TellOrder):
            assert found.order
            continue
        assert 1 <= len(found.sku) <= 64
        assert -(10**9) <= (found.unsellable if isinstance(found, Status) else found.quantity) <= 10**9
        assert 0 <= found.version[0] < 2**31
