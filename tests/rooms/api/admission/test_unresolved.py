"""Repeats of a reserve whose outcome is unknown come before what is new."""

from urllib.parse import urlsplit

import pytest

from atp.api import ApiSettings
from atp.api.admission import Class
from atp.api.unresolved import KEPT, KEPT_S, Unresolved
from tests.rooms.api.admission.test_overload import BODY, NARROW, Connection, active
from tests.rooms.api.conftest import is_ready, served
from tests.support import wait_until_async
from tests.wires import wire_to

pytestmark = pytest.mark.anyio


def headers(key: str, caller: str = "shop") -> dict[bytes, bytes]:
    return {b"authorization": caller.encode(), b"idempotency-key": key.encode()}


def test_only_the_same_key_of_the_same_caller_and_for_a_minute() -> None:
    now = 0.0
    unresolved = Unresolved(lambda: now)
    unresolved.note(headers("k"))
    assert unresolved.class_of(Class.P1, headers("k")) is Class.P0
    assert unresolved.class_of(Class.P1, headers("other")) is Class.P1
    assert unresolved.class_of(Class.P1, headers("k", "somebody else")) is Class.P1
    assert unresolved.class_of(Class.P3, headers("k")) is Class.P3
    now = KEPT_S + 1
    assert unresolved.class_of(Class.P1, headers("k")) is Class.P1


def test_the_newest_are_kept() -> None:
    unresolved = Unresolved()
    for number in range(KEPT + 1):
        unresolved.note(headers(f"k{number}"))
    assert unresolved.class_of(Class.P1, headers("k0")) is Class.P1
    assert unresolved.class_of(Class.P1, headers("k1")) is Class.P0
    assert unresolved.class_of(Class.P1, headers(f"k{KEPT}")) is Class.P0


async def test_a_repeat_is_answered_while_reserves_are_shed(valkey: str, namespace: str) -> None:
    settings = ApiSettings(lame_duck_s=0, admission=NARROW)
    port = urlsplit(valkey).port or 0
    async with wire_to(port) as wire, served(valkey.replace(f":{port}", f":{wire.port}"), namespace, settings) as api:
        await api.stock("A", 9)
        assert (await api.send("GET", "/v1/availability/A")).status_code == 200  # who calls is known from here on
        async with Connection(api) as first, Connection(api) as slow, Connection(api) as new:

            async def is_unknown() -> bool:
                """What is sent may be applied, but the caller's time is over before anybody knows; a reserve that met
                a call under way, such as a quota's, was not sent, and is refused for certain."""
                wire.freeze()
                first.begin("k1", length=len(BODY), more="x-request-timeout-ms: 200\r\n")
                first.body(BODY)
                answer = (await first.answer())[2]
                wire.thaw()
                await wait_until_async(lambda: is_ready(api), description="the ledger answers again")
                return b":outcome-unknown" in answer

            await wait_until_async(is_unknown, description="a reserve's outcome is unknown")
            slow.begin("k2", length=len(BODY))
            await wait_until_async(lambda: active("p1") == 1, description="the slot of P1 is taken")
            new.begin("k3", length=len(BODY))
            new.body(BODY)
            first.begin("k1", length=len(BODY))
            first.body(BODY)
            assert (await first.answer())[0] == 201
            assert (await new.answer())[0] == 503
            slow.body(BODY)
            await slow.answer()
