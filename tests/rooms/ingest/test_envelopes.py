"""Envelopes: what a pattern reads is what reading header by header says, whatever the headers are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atp.ingest import cloudevents
from atp.ingest.envelopes import KINDS_MAX, Envelopes
from atp.ingest.reasons import Rejected
from atp.natspy import PLAIN, RawHeaders

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
GOOD = {
    "Nats-Msg-Id": "wms:1", "ce-specversion": "1.0", "ce-id": "e1", "ce-source": "wms", "Ce-Type": "atp.stock.level.v1",
    "ce-sequence": "7",
}  # fmt: skip


def raw(headers: dict[str, str] | list[tuple[str, str]]) -> RawHeaders:
    pairs = headers.items() if isinstance(headers, dict) else headers
    return RawHeaders(PLAIN + b"".join(f"{name}: {value}\r\n".encode() for name, value in pairs) + b"\r\n")


def told(envelopes: Envelopes, headers: RawHeaders) -> object:
    try:
        return envelopes.read(headers, b"{}")
    except Rejected as rejected:
        return rejected.reason, rejected.detail


def plainly(headers: RawHeaders) -> object:
    try:
        return cloudevents.read(dict(headers), b"{}")
    except Rejected as rejected:
        return rejected.reason, rejected.detail


_names = st.sampled_from(
    ["ce-id", "Ce-Id", "ce-type", "ce-specversion", "ce-sequence", "ce-time", "ce-datacontenttype", "traceparent",
     "Content-Type", "atp-cause", "x", "nats-batch-id", "a b", " ce-id", "ce-id "]
)  # fmt: skip
_values = st.sampled_from(
    ["", "1", "e2", "1.0", "atp.stock.delta.v1", "a%20b", "%ff", "%", "a b", " a", "a ", "\t", "ä", "x\ny", "x\ry",
     "\x00", "x" * 257, "a: b", "\n", TRACE, "application/json", "text/plain",
     "application/cloudevents+json", "key=k;client=c"]
) | st.text(max_size=3)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.permutations(list(GOOD.items())),
    st.lists(st.tuples(_names, _values), max_size=3),
    st.lists(st.tuples(st.integers(0, 8), _values), min_size=1, max_size=4),
    st.booleans(),
)
def test_the_next_headers_are_read_as_the_first_would_be(good, more, changes, cut):
    """An event's headers, then others that differ in values, by a reader that has seen the first."""
    envelopes, headers = Envelopes(), [*good, *more]
    assert told(envelopes, raw(headers)) == plainly(raw(headers))
    for at, value in changes:
        headers[at % len(headers)] = (headers[at % len(headers)][0], value)
        sent = raw(headers)
        if cut:
            sent = RawHeaders(sent.raw[: -2 - at])
        assert told(envelopes, sent) == plainly(sent)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=6) | st.sampled_from([b"ce-id", b": ", b"\r\n", b"ce-type: x\r\n"]), max_size=8))
def test_headers_that_are_none_are_read_the_same_way(pieces):
    envelopes, sent = Envelopes(), RawHeaders(PLAIN + b"".join(pieces) + b"\r\n")
    envelopes.read(raw(GOOD), b"{}")
    assert told(envelopes, sent) == plainly(sent) == told(envelopes, sent)


@pytest.mark.parametrize("spoilt", ["ce-specversion", "ce-datacontenttype", "content-type"])
def test_what_a_kind_of_envelope_stands_for_cannot_change_unseen(spoilt):
    envelopes, headers = Envelopes(), GOOD | {"ce-datacontenttype": "application/json", "content-type": "text/json"}
    envelopes.read(raw(headers), b"{}")
    spoilt_ones = raw(headers | {spoilt: "application/cloudevents"})
    assert told(envelopes, spoilt_ones) == plainly(spoilt_ones)
    assert isinstance(plainly(spoilt_ones), tuple)


def test_kinds_without_end_are_not_remembered():
    envelopes = Envelopes()
    for number in range(3 * KINDS_MAX):
        envelopes.read(raw(GOOD | {f"x-{number}": "x"}), b"{}")
    assert len(envelopes._known) == KINDS_MAX


def test_only_the_first_of_a_kind_is_read_header_by_header():
    envelopes, sent = (
        Envelopes(),
        [raw(GOOD | {"ce-id": f"e{number}", "ce-sequence": str(number)}) for number in range(9)],
    )
    assert [envelopes.read(headers, b"{}").id for headers in sent] == [f"e{number}" for number in range(9)]
    assert [headers._parsed is not None for headers in sent] == [True] + 8 * [False]
