"""Repairs of the client: our header parser and its own are one, and an answer that is lost is not waited for."""

import asyncio
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats import errors as nats_errors
from nats.aio.client import Client

from atp.config import Config
from atp.ingest.pull import Interrupted, Pull
from atp.ingest.settings import Settings
from atp.natspy import parse_header_lines, publish_many, tell_lost
from atp.wiring import open_nats
from tests.faults.wire import Wire
from tests.support import wait_until_async

_pieces = st.sampled_from(
    [b"ce-id", b"Ce-Id", b": ", b":", b"\r\n", b"\n", b" ", b"\t", b"\xff", b"\xc3\xa9", b"x", b"\x0b"]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(_pieces | st.binary(max_size=4), max_size=12).map(b"".join))
def test_headers_are_read_as_the_client_reads_them(raw):
    assert parse_header_lines(raw) == Client._parse_header_lines(raw)


@pytest.mark.anyio
async def test_an_answer_that_went_with_its_connection_is_not_waited_for(nats: str) -> None:
    wire = Wire(urlsplit(nats).port or 0)
    await wire.start()
    config = Config(nats_url=nats.replace(f":{wire.target}", f":{wire.port}"))
    try:
        async with open_nats(config, "test", asyncio.Event()) as client:
            heard = await client.subscribe("asked")
            asking = asyncio.create_task(client.request("asked", timeout=60))
            await heard.next_msg(timeout=10)
            wire.reset()
            done, _ = await asyncio.wait({asking}, timeout=20)
            assert done
            assert isinstance(asking.exception(), TimeoutError)
            await wait_until_async(lambda: client.is_connected, description="the client is back")
            assert (await client.jetstream().account_info()).streams >= 0
    finally:
        await wire.stop()


@pytest.mark.anyio
async def test_a_reader_learns_at_once_that_its_connection_was_lost(nats: str, namespace: str) -> None:
    """Also one that has nothing to do: nothing came to it, and a heartbeat's silence says nothing for seconds."""
    wire = Wire(urlsplit(nats).port or 0)
    await wire.start()
    settings = Settings(stream=namespace, root=namespace, heartbeat_s=60)
    config = Config(nats_url=nats.replace(f":{wire.target}", f":{wire.port}"))
    try:
        async with open_nats(config, "test", asyncio.Event()) as client:
            js = client.jetstream()
            await js.add_stream(name=namespace, subjects=[f"{namespace}.>"])
            pull = Pull(client, js, settings)
            await pull.open(0)
            waiting = asyncio.create_task(pull.wait(60))
            await asyncio.sleep(0)
            wire.reset()
            assert not await asyncio.wait_for(waiting, 20)
            with pytest.raises(Interrupted):
                await pull.wait(60)
            await pull.close()
            tell_lost(client)  # nobody is told who has gone
            await wait_until_async(lambda: client.is_connected, description="the client is back")
            await js.delete_stream(namespace)
    finally:
        await wire.stop()


@pytest.mark.anyio
async def test_many_messages_arrive_as_if_each_had_been_published(nats: str) -> None:
    async with open_nats(Config(nats_url=nats), "test", asyncio.Event()) as client:
        heard = await client.subscribe("many.>")
        sent = [(f"many.{n}", {"ce-id": f"0:{n}", "ce-subject": "a%20b"}, b"x" * n) for n in range(50)]
        await publish_many(client, sent)
        for subject, headers, data in sent:
            message = await heard.next_msg(timeout=10)
            assert (message.subject, message.headers, message.data) == (subject, headers, data)


@pytest.mark.anyio
async def test_of_many_none_is_sent_when_one_is_too_large_or_nobody_is_there(nats: str) -> None:
    async with open_nats(Config(nats_url=nats), "test", asyncio.Event()) as client:
        heard = await client.subscribe("large")
        with pytest.raises(nats_errors.MaxPayloadError):
            await publish_many(client, [("large", {}, b""), ("large", {}, b"x" * (client.max_payload + 1))])
        await client.publish("large", b"the next one")
        assert (await heard.next_msg(timeout=10)).data == b"the next one"
    with pytest.raises(nats_errors.ConnectionClosedError):
        await publish_many(client, [("large", {}, b"")])
