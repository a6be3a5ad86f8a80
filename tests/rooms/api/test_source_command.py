"""``atp source``: cut-over and restart from the command line."""

import asyncio
import json

import pytest

from atp.cli.app import run

from .conftest import Api
from .test_sources import level, listed, told

pytestmark = pytest.mark.anyio


@pytest.fixture
def administrator(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATP_API_URL", f"http://127.0.0.1:{api.port}")
    monkeypatch.setenv("ATP_API_KEY", api.admin)


async def atp(*words: str) -> int:
    return await asyncio.to_thread(run, words)


async def test_a_location_is_cut_over(api: Api, administrator: None, capsys: pytest.CaptureFixture[str]) -> None:
    await listed(api, erp1="authority", erp2="shadow")
    await told(api, level("A", "erp1", 10), level("A", "erp2", 12))
    assert await atp("source", "move", "DC1", "--to", "erp2", "--key", "k") == 0
    assert capsys.readouterr().out == "DC1 counts by erp2 now; beside it: erp1 (shadow)\n"
    assert await api.ats("A") == 12
    assert await atp("source", "move", "DC1", "--to", "erp1") == 0
    assert await atp("source", "move", "DC1", "--to", "erp2", "--key", "k", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["sources"][0]["source"] == "erp1"
    assert await atp("source", "move", "DC9", "--to", "erp2") == 1
    assert "There is no such location." in capsys.readouterr().err


async def test_a_source_begins_anew(api: Api, administrator: None, capsys: pytest.CaptureFixture[str]) -> None:
    await api.stock("A", 10)
    assert await atp("source", "restart", "wms", "--key", "k") == 0
    assert await atp("source", "restart", "wms", "--key", "k", "--json") == 0
    assert capsys.readouterr().out.splitlines() == [
        "wms begins anew, with generation 2", '{"id":"wms","generation":2}',
    ]  # fmt: skip
    assert await atp("source", "restart", "nobody") == 1
