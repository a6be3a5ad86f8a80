"""Exceptions over HTTP: found in the journal, ended through the ledger."""

from collections.abc import AsyncIterator

import pytest

from atp.domain.commands import Raise
from atp.journal import Journal
from tests.support import patient_journal

from .conftest import Api, assert_problem, served
from .test_retention import drain

pytestmark = pytest.mark.anyio


@pytest.fixture
async def journal(migrated: str, namespace: str) -> AsyncIterator[Journal]:
    journal = Journal(patient_journal(migrated, namespace))
    await journal.open()
    yield journal
    await journal.close()


async def test_a_person_finds_one_and_ends_it(valkey: str, namespace: str, journal: Journal) -> None:
    async with served(valkey, namespace, journal=journal) as api:
        await api.stock("A", 5)
        await api.reserve("A", 5)
        await api.stock("A", 4)
        await api.ledger.submit(Raise("drift", "A", "DC1", detail="5 of 6"))
        await drain(api, journal)
        listed = (await api.send("GET", "/v1/exceptions", key=api.admin)).json()["exceptions"]
        assert [(e["kind"], e.get("sku"), e.get("location"), e.get("source")) for e in listed] == [
            ("drift", "A", "DC1", None), ("shortage", "A", "DC1", None), ("source-unknown", None, None, "wms")
        ]  # fmt: skip
        assert listed[0]["detail"] == {"detail": "5 of 6"}
        for found in listed[:2]:
            path, body = f"/v1/exceptions/{found['id']}", {"reason": "counted again"}
            answer = await api.send("POST", path + "/resolve", key=api.admin, json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["resolution"] == "accepted"
            await journal_all(api, journal)
            ended = (await api.send("GET", path, key=api.admin)).json()
            assert (ended["resolved_by"], ended["reason"]) == ("operator", "counted again")
            again = await api.send("POST", path + "/resolve", key=api.admin, json={"reason": "me too"})
            assert again.json() == ended
        open_now = (await api.send("GET", "/v1/exceptions?kind=drift", key=api.admin)).json()
        assert open_now == {"exceptions": []}
        assert len((await api.send("GET", "/v1/exceptions?state=resolved", key=api.admin)).json()["exceptions"]) == 2


async def journal_all(api: Api, journal: Journal) -> None:
    """What the ledger has since the last time."""
    claim = await journal.claim(0, "test")
    entries = await api.ledger.read_entries(0, claim.seq, 1000)
    await journal.append(0, claim.seq, entries, claim.fence)


async def test_pages_hold_a_hundred(valkey: str, namespace: str, journal: Journal) -> None:
    async with served(valkey, namespace, journal=journal) as api:
        await api.ledger.apply([Raise("drift", f"S{number}") for number in range(101)])
        await drain(api, journal)
        first = (await api.send("GET", "/v1/exceptions", key=api.admin)).json()
        assert len(first["exceptions"]) == 100
        rest = await api.send("GET", f"/v1/exceptions?page_token={first['next_page_token']}", key=api.admin)
        assert [e["sku"] for e in rest.json()["exceptions"]] == ["S0"]
        assert "next_page_token" not in rest.json()
        far = await api.send("GET", f"/v1/exceptions?page_token={1 << 40}", key=api.admin)
        assert far.json() == first


async def test_bad_questions_are_named(valkey: str, namespace: str, journal: Journal) -> None:
    async with served(valkey, namespace, journal=journal) as api:
        for query in ("kind=nothing", "state=broken", "page_token=x", "page_token=-1", "other=1"):
            assert_problem(await api.send("GET", f"/v1/exceptions?{query}", key=api.admin), 400, "invalid-request")
        assert_problem(await api.send("GET", "/v1/exceptions/99", key=api.admin), 404, "not-found")
        answer = await api.send("POST", "/v1/exceptions/1/resolve", key=api.admin, json={})
        assert_problem(answer, 400, "invalid-request")


async def test_without_the_journal_nothing_is_claimed(api: Api) -> None:
    for method, path in (("GET", "/v1/exceptions"), ("GET", "/v1/exceptions/1")):
        assert_problem(await api.send(method, path, key=api.admin), 503, "journal-unavailable")
