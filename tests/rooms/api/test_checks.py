"""Checks by HTTP: asked for here, run by whoever runs checks, and seen by every process."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from atp.check import Checker
from atp.journal import Journal, migrate
from tests.rooms.api.conftest import Api, assert_problem, served
from tests.rooms.check.room import FAST
from tests.support import patient_journal

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(valkey: str, database: str, namespace: str) -> AsyncIterator[Api]:
    await migrate(database)
    journal = Journal(patient_journal(database, namespace))
    await journal.open()
    async with served(valkey, namespace, journal=journal) as api:
        yield api
    await journal.close()


async def test_a_check_is_asked_for_runs_and_stays(api: Api, database: str, namespace: str) -> None:
    asked = await api.send("POST", "/v1/checks", key=api.admin, json={"repair": True, "share": 100})
    assert asked.status_code == 202
    told = asked.json()
    assert (told["status"], told["repair"], told["requested_by"], told["percent"]) == ("waiting", True, "operator", 0.0)
    where = asked.headers["location"]
    assert where == f"/v1/checks/{told['id']}"

    journal = Journal(patient_journal(database, namespace))
    await journal.open()
    try:  # the ledger is not drained here, so the check does not get far
        settings = structs.replace(FAST, lag_max_s=0.0)
        assert await Checker(api.ledger, journal, settings).run_once(asyncio.Event())
    finally:
        await journal.close()
    seen = (await api.send("GET", where, key=api.admin)).json()
    assert seen["status"] == "failed"
    assert "atp drain" in seen["note"]
    assert seen["findings"] == []
    assert [check["id"] for check in (await api.send("GET", "/v1/checks", key=api.admin)).json()["checks"]] == [
        told["id"]
    ]


async def test_only_admins_ask_and_only_for_what_there_is(api: Api) -> None:
    assert_problem(await api.send("POST", "/v1/checks"), 403, "forbidden")
    assert_problem(await api.send("GET", "/v1/checks/77", key=api.admin), 404, "not-found")
    assert_problem(await api.send("GET", "/v1/checks/x", key=api.admin), 404, "not-found")
    assert_problem(await api.send("POST", "/v1/checks", key=api.admin, json={"share": 0}), 400, "invalid-request")


async def test_without_the_journal_there_are_none(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace) as api:
        assert_problem(await api.send("POST", "/v1/checks", key=api.admin), 503, "journal-unavailable")
