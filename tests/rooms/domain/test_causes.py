"""Causes: what is written is read back, whatever the words hold, and texts of others are events' ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp.domain.causes import Cause, cause_of, request_cause, trace_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
WORD = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@given(st.builds(Cause, st.text(max_size=20), WORD, WORD, WORD, st.text(max_size=20), WORD, WORD))
def test_what_is_written_is_read_back(cause: Cause) -> None:
    assert cause_of(cause.text()) == cause


@pytest.mark.parametrize("trace", ["", TRACE])
def test_the_short_way_writes_the_same(trace: str) -> None:
    assert request_cause("k", "r-1", trace) == Cause(key="k", request="r-1", trace=trace).text()


@pytest.mark.parametrize("text", ["e1", "a b", "request", "trace=", "café %"])
def test_another_text_is_an_events_id(text: str) -> None:
    assert cause_of(text) == Cause(event=text)


def test_only_a_trace_goes_on() -> None:
    assert trace_of(f"key=k request=r trace={TRACE}") == TRACE
    assert trace_of(f"trace={TRACE} event=trace=x") == TRACE
    assert trace_of(f"event=trace={TRACE}") == ""
    assert trace_of("trace=nonsense") == ""
    assert trace_of("") == ""
