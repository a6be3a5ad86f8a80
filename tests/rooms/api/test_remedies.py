"""What resolving an exception does: units move or are given back, once, with who and why; a refusal leaves it open."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from atp.cli.app import run
from atp.domain.causes import cause_of
from atp.domain.commands import Raise
from atp.journal import Journal

from .conftest import Api, assert_problem, served
from .test_exception_routes import journal, journal_all

pytestmark = pytest.mark.anyio

__all__ = ["journal"]


@pytest.fixture
async def short(valkey: str, namespace: str, journal: Journal) -> AsyncIterator[Api]:
    """Two confirmed reservations of 2 at DC1, which turns out to have 1; DC2 has 9."""
    async with served(valkey, namespace, journal=journal) as api:
        await api.stock("A", 4)
        for key in ("one", "two"):
            held = await api.reserve("A", 2, headers={"idempotency-key": key})
            await api.send("POST", f"/v1/reservations/{held.json()['id']}/confirm")
        await api.stock("A", 9, "DC2")
        await api.stock("A", 1)
        await journal_all(api, journal)
        yield api


async def shortage(api: Api) -> dict[str, Any]:
    (found,) = (await api.send("GET", "/v1/exceptions?kind=shortage", key=api.admin)).json()["exceptions"]
    return (await api.send("GET", f"/v1/exceptions/{found['id']}", key=api.admin)).json()


async def resolve(api: Api, id: str, *actions: dict[str, Any], reason: str = "moved", **headers: str) -> httpx.Response:
    body = {"reason": reason, "actions": actions}
    return await api.send("POST", f"/v1/exceptions/{id}/resolve", key=api.admin, json=body, headers=headers)


def transfer(id: str, to: str = "DC2", quantity: int = 2) -> dict[str, Any]:
    return {"action": "transfer", "reservation": id, "line_id": "1", "to": to, "quantity": quantity}


def release(id: str) -> dict[str, Any]:
    return {"action": "release", "reservation": id}


async def lines(api: Api, id: str) -> dict[str, Any]:
    return (await api.send("GET", f"/v1/reservations/{id}")).json()["lines"][0]


async def test_units_move_and_are_given_back_once(short: Api, journal: Journal) -> None:
    found = await shortage(short)
    assert found["actions"] == ["transfer", "release"]
    assert found["meaning"]
    newer, older = found["reservations"]
    headers = {"x-request-id": "r-9"}
    answer = await resolve(short, found["id"], transfer(older), release(newer), reason="one box broke", **headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["resolution"] == "transferred, released"
    assert (await lines(short, older))["allocations"] == [{"location": "DC2", "quantity": 2, "supply": "on_hand"}]
    assert (await lines(short, newer))["released"] == 2
    head = (await short.ledger.heads())[0].seq
    again = await resolve(short, found["id"], transfer(older), release(newer), reason="me too")
    assert again.json()["reason"] == "one box broke"
    assert (await short.ledger.heads())[0].seq == head
    await journal_all(short, journal)
    entries = await journal.history(older)
    cause = cause_of(entries[-1].cause)
    assert (entries[-1].client, cause.request, cause.exception) == ("operator", "r-9", found["id"])
    ended = (await short.send("GET", f"/v1/exceptions/{found['id']}", key=short.admin)).json()
    assert (ended["resolved_by"], ended["reason"]) == ("operator", "one box broke")


async def test_a_persons_word_stays_when_the_shortage_is_over_later(short: Api, journal: Journal) -> None:
    found = await shortage(short)
    assert (await resolve(short, found["id"], reason="they come tomorrow")).json()["resolution"] == "accepted"
    await short.stock("A", 4)
    await journal_all(short, journal)
    ended = (await short.send("GET", f"/v1/exceptions/{found['id']}", key=short.admin)).json()
    assert (ended["resolution"], ended["resolved_by"]) == ("accepted", "operator")


async def test_what_is_refused_leaves_it_open_and_the_repeat_goes_on(short: Api, journal: Journal) -> None:
    found = await shortage(short)
    newer, older = found["reservations"]
    refused = await resolve(short, found["id"], transfer(older), transfer(newer, "DC9"))
    assert assert_problem(refused, 400, "invalid-request")["errors"][0]["pointer"].startswith("/actions/1")
    await journal_all(short, journal)
    assert "resolved_at" not in await shortage(short)
    before = await journal.history(older)
    assert (await resolve(short, found["id"], transfer(older), transfer(newer))).status_code == 200
    await journal_all(short, journal)
    assert await journal.history(older) == before


async def test_only_what_makes_sense_is_done(short: Api, journal: Journal) -> None:
    await short.ledger.submit(Raise("drift", "A", "DC1"))
    await journal_all(short, journal)
    found = await shortage(short)
    (drift,) = (await short.send("GET", "/v1/exceptions?kind=drift", key=short.admin)).json()["exceptions"]
    id = found["reservations"][0]
    cases = [
        (drift["id"], release(id), 400, "invalid-request"),
        (found["id"], release("nobody"), 404, "not-found"),
        (found["id"], release(id[:-4] + "AAAA"), 404, "not-found"),
        (found["id"], transfer(id, "DC1"), 400, "invalid-request"),
        (found["id"], transfer(id, quantity=99), 409, "reservation-not-active"),
        (found["id"], {"action": "burn"}, 400, "invalid-request"),
    ]
    for exception, action, status, code in cases:
        assert_problem(await resolve(short, exception, action), status, code)
    assert (await shortage(short))["kind"] == "shortage"


async def test_from_the_command_line(
    short: Api, journal: Journal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATP_API_URL", f"http://127.0.0.1:{short.port}")
    monkeypatch.setenv("ATP_API_KEY", short.admin)
    monkeypatch.setenv("COLUMNS", "160")

    async def atp(*words: str, code: int = 0) -> str:
        assert await asyncio.to_thread(run, ["exceptions", *words]) == code
        return capsys.readouterr().out

    listed = await atp("list", "--kind", "shortage")
    assert "A@DC1" in listed
    (found,) = json.loads(await atp("list", "--kind", "shortage", "--json"))["exceptions"]
    id = found["id"]
    shown = await atp("show", id)
    assert "Transfer units" in shown
    reservation = json.loads(await atp("show", id, "--json"))["reservations"][0]
    assert reservation in shown
    await atp("resolve", id, "--reason", "x", "--to", "DC2", code=2)
    await atp("resolve", id, "--reason", "x", "--of", "held", code=2)
    moved = ("--transfer", reservation, "--line", "1", "--to", "DC2", "--quantity", "2")
    assert await atp("resolve", id, "--reason", "two missing", *moved) == f"{id}: transferred\n"
    await journal_all(short, journal)
    assert await atp("list", "--kind", "shortage") == "No exceptions.\n"
    assert "transferred" in await atp("list", "--all")
    assert "by operator: two missing" in await atp("show", id)
    again = await atp("resolve", id, "--reason", "another", "--release", reservation)
    assert again == f"{id} was over already: transferred by operator: two missing\n"
