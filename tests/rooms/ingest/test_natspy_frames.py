"""Frames: whatever comes, however it is cut, arrives as by the client's own parser."""

import pytest
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.errors import ProtocolError

from atp.natspy import Headers, deliver

PLAIN = b"NATS/1.0\r\nce-id: %d\r\nCe-Type: x\r\n\r\n"


def hmsg(sid: int, head: bytes, data: bytes, subject: bytes = b"stock.v1.wms", reply: bytes = b"$JS.ACK.a ") -> bytes:
    return b"HMSG %b %d %b%d %d\r\n%b%b\r\n" % (subject, sid, reply, len(head), len(head) + len(data), head, data)


#: Everything a server sends, with payloads that look like frames.
TEXT = b"".join(
    [
        hmsg(1, PLAIN % 1, b'{"a":1}'),
        hmsg(1, PLAIN % 2, b""),
        b"PING\r\n",
        hmsg(1, PLAIN % 3, hmsg(1, PLAIN % 99, b"no frame")),
        hmsg(2, PLAIN % 4, b"another's"),
        b"+OK\r\n",
        hmsg(1, PLAIN % 5, b"\r\nPING\r\n"),
        hmsg(1, b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 3\r\n\r\n", b"", reply=b""),
        hmsg(1, b"NATS/1.0 408 Request Timeout\r\n\r\n", b"", reply=b"flow "),
        hmsg(1, PLAIN % 6, b"no reply", reply=b""),
        b"MSG stock.v1.wms 1 $JS.ACK.b 4\r\nbare\r\n",
        b"MSG \xff\xfe 1 4\r\nodd!\r\n",
        hmsg(1, PLAIN % 7, b"x" * 30, subject=b"stock.\xff"),
        b"HMSG  stock.v1.wms  1  $JS.ACK.c  12  14 \r\n".replace(b" \r", b"\r") + b"NATS/1.0\r\n\r\nab\r\n",
        hmsg(3, PLAIN % 8, b"nobody's"),
        hmsg(1, b"NATS/1.0\r\nbroken\r\n: x\r\nA b: c\r\nd:e \r\n\r\n", b"8"),
        b"PONG\r\n",
        b'INFO {"server_id":"x"}\r\n',
        hmsg(1, PLAIN % 9, b"last"),
    ]
)


class Heard(Client):
    """A client that is not connected: what reached it, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple] = []
        self._subs = {sid: Subscription(self, sid) for sid in (1, 2)}

    def deliver(self) -> "Heard":
        deliver(self, self._subs[1], self._take)
        return self

    def _take(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        self.heard.append((subject, reply, data, None if headers is None else dict(headers)))

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        if sid in self._subs:
            self.heard.append((sid, subject, reply, data, headers))

    async def _process_ping(self) -> None:
        self.heard.append(("ping",))

    async def _process_pong(self) -> None:
        self.heard.append(("pong",))

    async def _process_info(self, info: dict) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.heard.append(("info", *info))


async def heard(pieces: list[bytes], *, by_frames: bool = True) -> list[tuple]:
    nc = Heard().deliver()
    if not by_frames:
        nc._ps._take = lambda text: 0  # pyright: ignore[reportAttributeAccessIssue]
    for piece in pieces:
        await nc._ps.parse(piece)
    return nc.heard


@pytest.mark.anyio
async def test_all_frames_arrive_in_order_as_by_the_clients_own_parser() -> None:
    found = await heard([TEXT])
    assert found == await heard([TEXT], by_frames=False)
    assert [name for name, *rest in found if len(rest) < 3] == ["ping", "pong", "info"]
    assert [each[3]["ce-id"] for each in found if len(each) == 4 and each[3] and "ce-id" in each[3]] == list("1235679")
    assert len(found) == 17


@pytest.mark.anyio
async def test_a_cut_at_any_byte_changes_nothing() -> None:
    whole = await heard([TEXT])
    for at in range(1, len(TEXT)):
        assert await heard([TEXT[:at], TEXT[at:]]) == whole, at


@pytest.mark.anyio
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_pieces_of_any_size_change_nothing(size: int) -> None:
    assert await heard([TEXT[at : at + size] for at in range(0, len(TEXT), size)]) == await heard([TEXT])


@pytest.mark.anyio
async def test_a_connection_may_be_in_the_middle_of_a_message_when_it_is_repaired() -> None:
    whole = await heard([TEXT])
    for at in range(1, len(TEXT), 5):
        nc = Heard()
        await nc._ps.parse(TEXT[:at])  # nobody takes anything yet
        before = len(nc.heard)
        await nc.deliver()._ps.parse(TEXT[at:])
        assert nc.heard[before:] == whole[before:], at


@pytest.mark.anyio
async def test_what_is_no_frame_ends_the_connection_as_before() -> None:
    with pytest.raises(ProtocolError):
        await heard([hmsg(1, PLAIN % 1, b"x") + b"WHAT is this\r\n"])
    nc = Heard().deliver()
    await nc._ps.parse(hmsg(1, PLAIN % 1, b"x") + b"HMSG stock")
    nc._ps.reset()  # the client is connected anew
    await nc._ps.parse(hmsg(1, PLAIN % 2, b"y"))
    assert [each[2] for each in nc.heard] == [b"x", b"y"]


@pytest.mark.anyio
async def test_who_unsubscribed_gets_nothing_more() -> None:
    nc = Heard().deliver()
    await nc._ps.parse(hmsg(1, PLAIN % 1, b"x"))
    del nc._subs[1]
    await nc._ps.parse(hmsg(1, PLAIN % 2, b"y") + hmsg(1, PLAIN % 3, b"z", reply=b""))
    assert [each[2] for each in nc.heard] == [b"x"]
