"""``atp reservations``, ``atp history`` and ``atp audit``, against a real API."""

import asyncio
import json

import pytest

from atp.cli.app import run
from atp.journal import Journal

from .conftest import served
from .test_exception_routes import journal, journal_all

pytestmark = pytest.mark.anyio

__all__ = ["journal"]


async def test_history_from_the_command_line(
    valkey: str,
    namespace: str,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with served(valkey, namespace, journal=journal) as api:
        await api.stock("A", 9)
        id = (await api.reserve("A", 2, body={"order_ref": "A-1"})).json()["id"]
        await api.send("POST", f"/v1/reservations/{id}/confirm", headers={"x-request-id": "r-7"})
        await journal_all(api, journal)
        monkeypatch.setenv("ATP_API_URL", f"http://127.0.0.1:{api.port}")
        monkeypatch.setenv("ATP_API_KEY", api.admin)

        async def atp(*words: str) -> str:
            assert await asyncio.to_thread(run, words) == 0
            return capsys.readouterr().out

        first, second = (await atp("reservations", "--order-ref", "A-1")).splitlines()
        assert first.endswith(f"  {id}  committed, order A-1, channel default"), "whole words at any width"
        assert second == "    2 × A"
        assert await atp("reservations", "--order-ref", "A-2") == "No reservations.\n"
        assert json.loads(await atp("reservations", "--json"))["reservations"][0]["id"] == id
        told = await atp("history", id)
        for part in ("committed", "shop", "request r-7", "state: held → committed", "lines/1/DC1/held"):
            assert part in told
        assert "level-set" in await atp("history", "--sku", "A", "--kind", "level-set")
        about = json.loads(await atp("audit", "--about", "location:DC1", "--json"))["entries"]
        assert [each["kind"] for each in about] == ["policy-put"]
        assert "committed" in await atp("audit", "--client", "shop")
        for wrong in (["history"], ["history", id, "--sku", "A"], ["audit"], ["reservations", "--limit", "0"]):
            assert await asyncio.to_thread(run, wrong) == 2
