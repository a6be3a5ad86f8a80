"""History over HTTP: what is found, in which order, who may see it, and what it says while PostgreSQL is away."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import msgpack

from atp.domain.commands import Level, PutPolicy, Raise
from atp.journal import Journal, Place
from tests.support import asking

from .conftest import Api, assert_problem, served
from .test_exception_routes import journal, journal_all

pytestmark = pytest.mark.anyio

__all__ = ["journal"]


@pytest.fixture
async def told(valkey: str, namespace: str, journal: Journal) -> AsyncIterator[Api]:
    async with served(valkey, namespace, journal=journal) as api:
        yield api


async def found(api: Api, query: str, **options: Any) -> list[str]:
    answer = await api.send("GET", f"/v1/reservations?{query}", **options)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["reservations"]]


async def test_reservations_are_found_newest_first(told: Api, journal: Journal) -> None:
    await told.stock("A", 50)
    await told.stock("B", 50)
    ids = []
    for n in range(6):
        sku, body = "AB"[n % 2], {"order_ref": f"A-{n // 3}"}
        ids.append((await told.reserve(sku, body=body)).json()["id"])
    await told.send("POST", f"/v1/reservations/{ids[4]}/confirm")
    await journal_all(told, journal)
    assert await found(told, "limit=100") == ids[::-1]
    assert await found(told, "order_ref=A-1") == ids[:2:-1]
    assert await found(told, "order_ref=A-1&sku=A") == [ids[4]]
    assert await found(told, "sku=B") == ids[5::-2]
    assert await found(told, "state=committed") == [ids[4]]
    assert await found(told, "sku=B&state=committed") == []
    assert await found(told, "order_ref=none") == []


async def test_pages_stay_what_they_are_while_new_rows_come(told: Api, journal: Journal) -> None:
    await told.stock("A", 50)
    ids = [(await told.reserve("A")).json()["id"] for _ in range(5)]
    await journal_all(told, journal)
    seen: list[str] = []
    query = "limit=2"
    while query:
        page = (await told.send("GET", f"/v1/reservations?{query}")).json()
        seen += [each["id"] for each in page["reservations"]]
        token = page.get("next_page_token")
        query = f"limit=2&page_token={token}" if token else ""
        await told.reserve("A")
        await journal_all(told, journal)
    assert seen == ids[::-1]


async def test_pages_and_long_names_are_found_far_into_a_ledger(told: Api, journal: Journal) -> None:
    """Names are as long as they may be (R39), and page tokens longer than any of them."""
    await told.stock("A", 50)
    ref = "r" * 128
    ids = [(await told.reserve("A", body={"order_ref": ref})).json()["id"] for _ in range(3)]
    await told.ledger.apply([Raise("drift", f"S{n}") for n in range(130)])  # numbers of several bytes
    ids += [(await told.reserve("A", body={"order_ref": ref})).json()["id"] for _ in range(3)]
    await journal_all(told, journal)
    seen: list[str] = []
    token = ""
    while token or not seen:
        answer = await told.send("GET", f"/v1/reservations?order_ref={ref}&limit=1{token and '&page_token=' + token}")
        assert answer.status_code == 200, answer.text
        seen += [each["id"] for each in answer.json()["reservations"]]
        token = answer.json().get("next_page_token", "")
    assert seen == ids[::-1]
    wrong = await told.send("GET", f"/v1/reservations?order_ref={ref}r")
    assert assert_problem(wrong, 400, "invalid-request")["errors"][0]["parameter"] == "order_ref"


async def test_a_client_bound_to_channels_finds_its_own(told: Api, journal: Journal) -> None:
    await told.stock("A", 9)
    bound = await told.add_client("market", ["reservations:write", "stock:write"], ["market"])
    own = (await told.reserve("A", key=bound, body={"channel": "market", "order_ref": "X"})).json()["id"]
    foreign = (await told.reserve("A", body={"channel": "web", "order_ref": "X"})).json()["id"]
    await journal_all(told, journal)
    assert await found(told, "order_ref=X", key=bound) == [own]
    assert await found(told, "order_ref=X") == [foreign, own]
    path = "/v1/reservations/{}/history"
    assert (await told.send("GET", path.format(own), key=bound)).status_code == 200
    assert_problem(await told.send("GET", path.format(foreign), key=bound), 404, "not-found")
    assert_problem(await told.send("GET", "/v1/stock/A/entries", key=bound), 403, "forbidden")


async def test_a_reservation_tells_its_changes_with_before_and_after(told: Api, journal: Journal) -> None:
    await told.stock("A", 9)
    id = (await told.reserve("A", 2)).json()["id"]
    headers = {"x-request-id": "r-7"}
    await told.send("POST", f"/v1/reservations/{id}/confirm", json={"order_ref": "A-1"}, headers=headers)
    lines = [{"line_id": "1", "quantity": 1}]
    await told.send("POST", f"/v1/reservations/{id}/release", json={"lines": lines, "reason": "changed mind"})
    await journal_all(told, journal)
    path = f"/v1/reservations/{id}/history"
    released, confirmed, held = (await told.send("GET", path)).json()["entries"]
    assert [e["kind"] for e in (released, confirmed, held)] == ["released", "committed", "held"]
    assert confirmed["client"] == "shop"
    assert confirmed["cause"] == {"key": told.key.split("_")[1], "request": "r-7"}
    changed = {each["field"]: (each["before"], each["after"]) for each in confirmed["changed"]}
    assert changed == {
        "state": ("held", "committed"), "order_ref": (None, "A-1"),
        "lines/1/DC1/held": (2, None), "lines/1/DC1/committed": (None, 2),
    }  # fmt: skip
    assert released["facts"] == {"reason": "changed mind"}
    assert {"field": "lines/1/DC1/released", "before": None, "after": 1} in released["changed"]
    assert {"field": "state", "before": None, "after": "held"} in held["changed"]
    assert confirmed["balances"][0]["free"] == 7
    first = (await told.send("GET", f"{path}?limit=1")).json()
    rest = (await told.send("GET", f"{path}?limit=2&page_token={first['next_page_token']}")).json()
    assert (first["entries"] + rest["entries"], "next_page_token" in rest) == ([released, confirmed, held], False)
    assert_problem(await told.send("GET", path.replace(id, id[:-4] + "AAAA")), 404, "not-found")


async def test_pages_of_a_ledger_that_counted_far(told: Api, journal: Journal) -> None:
    """Beyond 2^31 entries, which a busy ledger has in days."""
    await told.stock("A", 9)
    id = (await told.reserve("A")).json()["id"]
    await journal_all(told, journal)
    far = msgpack.encode(Place(4_000_000_000_000, 1 << 40, 0)).hex()
    for path in (f"reservations/{id}/history", "stock/A/entries", "audit?client=shop", "audit?about=A"):
        whole = (await told.send("GET", f"/v1/{path}", key=told.admin)).json()["entries"]
        assert whole
        behind = f"/v1/{path}{'&' if '?' in path else '?'}page_token={far}"
        assert (await told.send("GET", behind, key=told.admin)).json()["entries"] == whole


async def test_a_sku_tells_who_changed_its_number(told: Api, journal: Journal) -> None:
    await told.stock("A", 9)
    await told.stock("A", 7, "DC2")
    await told.stock("A", 4)
    keeper = await told.add_client("anna", ["stock:write"])
    body = {"sku": "A", "location": "DC1", "quantity": -1, "reason": "broken"}
    assert (await told.send("POST", "/v1/stock/adjust", key=keeper, json=body)).status_code == 200
    await told.stock("A", 5)
    await journal_all(told, journal)
    entries = (await told.send("GET", "/v1/stock/A/entries", key=keeper)).json()["entries"]
    assert [(e["kind"], e["facts"]["location"], e["changed"][0].get("before"), e["changed"][0]["after"])
            for e in entries] == [
        ("level-set", "DC1", 3, 5), ("adjusted", "DC1", 4, 3), ("level-set", "DC1", 9, 4),
        ("level-set", "DC2", None, 7), ("level-set", "DC1", None, 9),
    ]  # fmt: skip
    assert (entries[1]["client"], entries[1]["facts"]["reason"]) == ("anna", "broken")
    assert "before" not in entries[3]["changed"][0]
    only = (await told.send("GET", "/v1/stock/A/entries?kind=adjusted", key=keeper)).json()["entries"]
    assert only == [entries[1]]


async def test_an_audit_is_by_client_or_by_what_it_is_about(told: Api, journal: Journal) -> None:
    await told.stock("A", 9)
    for priority in (1, 2):
        body = {"kind": "store", "priority": priority}
        await told.send("PUT", "/v1/locations/DC1", key=told.admin, json=body, headers={"x-request-id": f"p{priority}"})
    await told.reserve("A")
    await journal_all(told, journal)
    about = (await told.send("GET", "/v1/audit?about=location:DC1", key=told.admin)).json()["entries"]
    assert [(e.get("client", ""), e["cause"].get("request")) for e in about[:2]] == [
        ("operator", "p2"), ("operator", "p1")
    ]  # fmt: skip
    assert {"field": "priority", "before": 1, "after": 2} in about[0]["changed"]
    assert {"field": "kind", "before": "warehouse", "after": "store"} in about[1]["changed"]
    first = (await told.send("GET", "/v1/audit?client=operator&limit=1", key=told.admin)).json()
    assert first["entries"] == about[:1]
    path = f"/v1/audit?client=operator&page_token={first['next_page_token']}"
    assert (await told.send("GET", path, key=told.admin)).json()["entries"] == [about[1]]
    shop = (await told.send("GET", "/v1/audit?client=shop&kind=held", key=told.admin)).json()["entries"]
    assert [e["kind"] for e in shop] == ["held"]
    client = (await told.send("GET", "/v1/audit?about=client:shop", key=told.admin)).text
    assert told.key.split("_")[1] in client
    assert "sha256" not in client


async def test_an_audit_of_what_another_answer_names(told: Api, journal: Journal) -> None:
    """Whatever an entry is about may be asked about: a share of a sku and a channel, and names as long as they go."""
    long = "L" * 64
    for path, body in (
        ("items/A/channels/web", {"protection": 1}), (f"items/{long}/channels/{long}", {"protection": 2}),
        (f"location-groups/{long}", {}),
    ):  # fmt: skip
        answer = await told.send("PUT", f"/v1/{path}", key=told.admin, json=body)
        assert answer.status_code == 200, answer.text
    await journal_all(told, journal)
    mine = (await told.send("GET", "/v1/audit?client=operator", key=told.admin)).json()["entries"]
    assert len(mine) == 3
    for entry in mine:
        found = await told.send("GET", "/v1/audit", params={"about": entry["about"]}, key=told.admin)
        assert found.status_code == 200, (entry["about"], found.text)
        assert found.json()["entries"] == [entry]


async def test_where_the_journal_begins_is_said_on_the_last_page(told: Api, journal: Journal, migrated: str) -> None:
    await told.stock("A", 9)
    await told.stock("A", 8)
    await journal_all(told, journal)
    async with asking(migrated) as connection:
        await connection.execute("update watermarks set begins = 3")
    first = (await told.send("GET", "/v1/stock/A/entries?limit=1", key=told.admin)).json()
    last = await told.send("GET", f"/v1/stock/A/entries?page_token={first['next_page_token']}", key=told.admin)
    assert ("journal_begins" in first, last.json()["journal_begins"]) == (False, "0:3")


async def test_bad_questions_are_named(told: Api) -> None:
    for path in (
        "reservations?state=lost", "reservations?page_token=zz", "reservations?page_token=93", "reservations?limit=0",
        "reservations?limit=501", "reservations?limit=many", "reservations?colour=red", "stock/A/entries?kind=x",
        "reservations?limit=000500999", "items?limit=0001" + "0" * 50,
        "reservations?page_token=94010101a100",
        "audit", "audit?client=a&about=b", "audit?client=a&kind=nothing",
        "audit?client=a&page_token=9301a17801",
    ):  # fmt: skip
        assert_problem(await told.send("GET", f"/v1/{path}", key=told.admin), 400, "invalid-request")


async def test_without_the_journal_it_is_said(api: Api) -> None:
    await api.ledger.apply([PutPolicy("location", "DC1", "{}"), Level("A", "DC1", "w", 1, "time", (0, 1), "", 0, 0)])
    id = (await api.reserve("A")).json()["id"]
    for path in ("reservations?sku=A", f"reservations/{id}/history", "stock/A/entries", "audit?client=shop"):
        assert_problem(await api.send("GET", f"/v1/{path}", key=api.admin), 503, "journal-unavailable")
