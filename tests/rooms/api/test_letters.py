"""Dead letters over HTTP: what may be asked, and what a wrong question is told."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from atp.deadletters import Desk, LetterSettings
from atp.ingest import Settings, ensure_streams
from tests.rooms.ingest.conftest import nc, settings

from .conftest import Api, assert_problem, served

__all__ = ["nc", "settings"]

pytestmark = pytest.mark.anyio


class Office:
    """An API with dead letters."""

    def __init__(self, api: Api, nc: Client, settings: Settings) -> None:
        self.api, self.nc, self.settings = api, nc, settings

    async def add(self, count: int, source: str = "wms", reason: str = "invalid-data", subject: str = "") -> None:
        for n in range(count):
            headers = {
                "atp-reason": reason, "atp-detail": "$.lines", "atp-subject": subject or self.stock(source),
                "atp-stream-sequence": str(n + 1), "ce-id": f"e{n}",
            }  # fmt: skip
            await self.nc.jetstream().publish(f"{self.settings.root}.dlq.{source}", b"{}", headers=headers)

    def stock(self, source: str) -> str:
        return f"{self.settings.root}.v1.{source}"

    async def ask(self, method: str, path: str, **options):
        return await self.api.send(method, f"/v1/dead-letters{path}", key=self.api.admin, **options)

    async def ids(self) -> list[str]:
        return [letter["id"] for letter in (await self.ask("GET", "")).json()["dead_letters"]]

    async def stored(self) -> int:
        return (await self.nc.jetstream().stream_info(self.settings.stream)).state.messages


@pytest.fixture
async def office(valkey: str, namespace: str, nc: Client, settings: Settings) -> AsyncIterator[Office]:
    await ensure_streams(nc.jetstream(), settings)
    desk = Desk(nc, LetterSettings(settings.dead_letters, settings.stream, root=settings.root))
    async with served(valkey, namespace, desk=desk) as api:
        yield Office(api, nc, settings)


async def test_pages(office: Office) -> None:
    assert (await office.ask("GET", "")).json() == {"dead_letters": []}
    await office.add(230)
    seen, path = [], ""
    while True:
        page = (await office.ask("GET", path)).json()
        seen.append([int(letter["id"]) for letter in page["dead_letters"]])
        if "next_page_token" not in page:
            break
        path = f"?page_token={page['next_page_token']}"
    assert seen == [list(range(1, 101)), list(range(101, 201)), list(range(201, 231))]


async def test_many_are_sent_again_or_thrown_away_in_steps(office: Office) -> None:
    await office.add(3, "wms")
    await office.add(2, "erp", "unknown-location")
    await office.add(1, "erp", subject="elsewhere")
    answer = await office.ask("POST", "/replay", json={"source": "wms", "limit": 2})
    assert answer.json() == {"count": 2, "failed": [], "next_page_token": "2"}
    answer = await office.ask("POST", "/replay", json={"source": "wms", "page_token": "2"})
    assert answer.json() == {"count": 1, "failed": []}
    assert await office.stored() == 3
    answer = (await office.ask("POST", "/replay", json={"source": "erp", "reason": "invalid-data"})).json()
    assert answer["count"] == 0
    assert answer["failed"][0]["id"] == "6"
    assert "elsewhere" in answer["failed"][0]["detail"]
    problem = assert_problem(await office.ask("POST", "/6/replay"), 409, "not-replayable")
    assert "elsewhere" in problem["detail"]
    for before in ("2020-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1960-01-01T00:00:00Z"):
        assert (await office.ask("POST", "/discard", json={"before": before})).json()["count"] == 0
    assert (await office.ask("POST", "/discard", json={"reason": "unknown-location"})).json()["count"] == 2
    assert await office.ids() == ["6"]
    assert (await office.ask("POST", "/6/discard")).json() == {"id": "6", "status": "discarded"}
    assert await office.ids() == []


async def test_wrong_questions(office: Office) -> None:
    for path in ("/1", "/0", "/9999999999999999", "/99999999999999999999", "/x", "/-1", "/%E4%BD%A0", "/1.5", "/1%2F2"):
        assert_problem(await office.ask("GET", path), 404, "not-found")
    for path in ("/1/replay", "/x/replay", "/1/discard"):
        assert_problem(await office.ask("POST", path), 404, "not-found")
    for query in ("source=a.b", "source=*", "source=a%20b", "source=%00", "page_token=x", "page_token=-1", "x=1"):
        problem = assert_problem(await office.ask("GET", f"?{query}"), 400, "invalid-request")
        assert problem["errors"][0]["parameter"] == query.partition("=")[0]
    bad = {
        "": "", "[]": "", "null": "", '{"limit":0}': "/limit", '{"limit":1001}': "/limit", '{"limit":"5"}': "/limit",
        '{"before":"yesterday"}': "/before", '{"before":"2026-01-01T00:00:00"}': "/before", '{"all":true}': "/all",
        '{"source":">"}': "/source", '{"source":""}': "/source", '{"reason":"\\u0000"}': "/reason",
        '{"page_token":"x"}': "/page_token", '{"source":"a","source":"b"}': "/source",
    }  # fmt: skip
    for action in ("replay", "discard"):
        for body, pointer in bad.items():
            headers = {"content-type": "application/json"}
            answer = await office.ask("POST", f"/{action}", content=body, headers=headers)
            problem = assert_problem(answer, 400, "invalid-request")
            assert problem["errors"][0]["pointer"] == pointer, (body, problem)


async def test_letters_are_for_admins(office: Office) -> None:
    await office.add(1)
    for method, path in (
        ("GET", ""),
        ("GET", "/1"),
        ("POST", "/1/replay"),
        ("POST", "/1/discard"),
        ("POST", "/replay"),
    ):
        assert_problem(await office.api.send(method, f"/v1/dead-letters{path}", json={}), 403, "forbidden")
    assert await office.ids() == ["1"]
