"""Customers: kept as digests under the deployment's key, and forgotten on request (R34)."""

import httpx
import pytest

from atp.api import ApiSettings
from atp.api.resources.customers import pseudonym
from atp.journal import Journal

from .conftest import Api, assert_problem, served
from .test_exception_routes import journal, journal_all

__all__ = ["journal"]

pytestmark = pytest.mark.anyio

KEYED = ApiSettings(lame_duck_s=0, customer_key="k" * 32)
NAME = "anna@example.org"


async def forget(api: Api, customer: str) -> httpx.Response:
    return await api.send("DELETE", f"/v1/customers/{customer}", key=api.admin)


def test_a_digest_is_of_one_customer_under_one_key() -> None:
    made = pseudonym("k" * 32, NAME)
    assert made == pseudonym("k" * 32, NAME)
    assert len({made, pseudonym("j" * 32, NAME), pseudonym("k" * 32, NAME + "x")}) == 3
    assert len(made) == 25
    assert pseudonym("", NAME) == NAME


async def test_no_store_has_the_text_and_limits_hold(valkey: str, namespace: str, journal: Journal) -> None:
    async with served(valkey, namespace, KEYED, journal=journal) as api:
        await api.stock("A", 50)
        await api.send("PUT", "/v1/channels/default", key=api.admin, json={"held_units_per_customer": 3})
        made = (await api.reserve("A", 2, body={"customer": NAME})).json()
        assert made["customer"] == pseudonym("k" * 32, NAME)
        assert_problem(await api.reserve("A", 2, body={"customer": NAME}), 409, "limit-exceeded")
        assert (await api.reserve("A", 2, body={"customer": "ben"})).status_code == 201
        kept = await api.ledger.reservation(made["id"])
        assert kept
        assert kept.customer == made["customer"]
        assert NAME.encode() not in b"".join(map(str.encode, map(str, await api.ledger.read_entries(0, 0, 1000))))


async def test_a_person_is_forgotten(valkey: str, namespace: str, journal: Journal) -> None:
    async with served(valkey, namespace, KEYED, journal=journal) as api:
        await api.stock("A", 50)
        await api.send("PUT", "/v1/items/A", key=api.admin, json={})
        ended, open, others = [
            (await api.reserve("A", 1, body={"customer": who, "order_ref": "X"})).json()["id"]
            for who in (NAME, NAME, "ben")
        ]
        for id in (ended, others):
            await api.send("POST", f"/v1/reservations/{id}/release")
        await journal_all(api, journal)
        assert (await forget(api, NAME)).json() == {"forgotten": 1, "kept": 1}
        assert (await forget(api, NAME)).json() == {"forgotten": 0, "kept": 1}
        found = (await api.send("GET", "/v1/reservations?order_ref=X")).json()["reservations"]
        assert {each["id"]: each["customer"] for each in found} == {
            ended: None, open: pseudonym("k" * 32, NAME), others: pseudonym("k" * 32, "ben"),
        }  # fmt: skip
        await api.send("POST", f"/v1/reservations/{open}/release")
        await journal_all(api, journal)
        assert (await forget(api, NAME)).json() == {"forgotten": 1, "kept": 0}
        assert (await forget(api, "nobody")).json() == {"forgotten": 0, "kept": 0}


async def test_without_the_journal_it_is_said(api: Api) -> None:
    assert_problem(await forget(api, NAME), 503, "journal-unavailable")
    assert_problem(await forget(api, "x" * 129), 400, "invalid-request")


async def test_items_are_listed_in_pages(valkey: str, namespace: str, journal: Journal) -> None:
    async with served(valkey, namespace, journal=journal) as api:
        for sku in ("b", "a", "c", "d"):
            await api.send("PUT", f"/v1/items/{sku}", key=api.admin, json={"safety_stock": 1})
        await api.send("DELETE", "/v1/items/b", key=api.admin)
        await journal_all(api, journal)
        first = (await api.send("GET", "/v1/items?limit=2", key=api.admin)).json()
        assert ([item["id"] for item in first["items"]], first["after"]) == (["a"], "b")  # b is deleted
        second = (await api.send("GET", "/v1/items?limit=2&after=b", key=api.admin)).json()
        assert [item["id"] for item in second["items"]] == ["c", "d"]
        assert "after" not in second
    async with served(valkey, namespace + "b") as api:
        assert_problem(await api.send("GET", "/v1/items", key=api.admin), 503, "journal-unavailable")
