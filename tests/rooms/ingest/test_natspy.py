"""Our header parser and the client's own are one."""

from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from atp.natspy import parse_header_lines

_pieces = st.sampled_from(
    [b"ce-id", b"Ce-Id", b": ", b":", b"\r\n", b"\n", b" ", b"\t", b"\xff", b"\xc3\xa9", b"x", b"\x0b"]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(_pieces | st.binary(max_size=4), max_size=12).map(b"".join))
def test_headers_are_read_as_the_client_reads_them(raw):
    assert parse_header_lines(raw) == Client._parse_header_lines(raw)
