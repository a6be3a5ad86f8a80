"""The waiting room: who may reserve in a campaign, in which order, and when it closes (DESIGN §7)."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from msgspec import json

from atp.api.rooms import Rooms
from atp.api.settings import ApiSettings
from atp.api.tickets import Bearer, Ticket, sign
from atp.domain.commands import PutPolicy
from atp.domain.outcomes import Outcome
from atp.ledger import Ledger
from atp.ledger.rooms import Attendance, Standing
from tests.support import patient_ledger, wait_until_async

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio

SECRET = b"s" * 32
SETTINGS = ApiSettings(lame_duck_s=0, ticket_secrets=(SECRET,))


def ms() -> int:
    return time.time_ns() // 1_000_000


async def put_campaign(ledger: Ledger, opens_in_s: float, quantity: int = 5, id: str = "bf", **more: Any) -> int:
    """A campaign with a waiting room for sku A; when it opens, ms."""
    opens = ms() + int(opens_in_s * 1000)
    body = {"opens": opens, "closes": opens + 600_000, "skus": {"A": {"quantity": quantity}}, "ttl_seconds": 300}
    text = json.encode(body | {"waiting_room": True} | more).decode()
    result = await ledger.put_policy(PutPolicy("campaign", id, text, skus=["A"]))
    assert result.outcome is Outcome.APPLIED
    return opens


async def ticket(api: Api, customer: str, shown: str = "", **options: Any) -> httpx.Response:
    headers = {"atp-ticket": shown} if shown else {}
    path = f"/v1/campaigns/{options.pop('campaign', 'bf')}/tickets"
    return await api.send("POST", path, json={"customer": customer}, headers=headers, **options)


async def reserve(api: Api, customer: str, shown: str = "", **options: Any) -> httpx.Response:
    headers = options.pop("headers", {}) | ({"atp-ticket": shown} if shown else {})
    body = {"campaign": options.pop("campaign", "bf"), "customer": customer}
    return await api.reserve("A", body=body, headers=headers, **options)


async def due_ticket(api: Api, customer: str) -> str:
    """A ticket that lets its customer in."""
    shown = (await ticket(api, customer)).json()["ticket"]
    await wait_until_async(lambda: _is_due(api, customer, shown), description="the ticket is due")
    return shown


async def _is_due(api: Api, customer: str, shown: str) -> bool:
    return (await ticket(api, customer, shown)).json()["due"]


async def test_a_due_ticket_lets_its_customer_in_once(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, SETTINGS) as api:
        await api.stock("A", 20)
        await put_campaign(api.ledger, -1)
        without = assert_problem_of(await reserve(api, "c-1"))
        assert "ATP-Ticket" in without["detail"]
        shown = await due_ticket(api, "c-1")
        key = {"idempotency-key": "once"}
        bought = await reserve(api, "c-1", shown, headers=key)
        assert bought.status_code == 201, bought.text
        repeat = await reserve(api, "c-1", shown, headers=key)
        assert (repeat.status_code, repeat.headers["idempotency-replayed"]) == (201, "true")
        used = assert_problem_of(await reserve(api, "c-1", shown))
        assert used["errors"][0]["pointer"] == "/campaign"
        renewed = (await ticket(api, "c-1", shown)).json()["ticket"]
        assert_problem_of(await reserve(api, "c-1", renewed))  # a renewed one is the same
        assert_problem_of(await reserve(api, "c-2", shown))
        other = await api.add_client("other", ["reservations:write"])
        assert_problem_of(await reserve(api, "c-1", shown, key=other))
        await put_campaign(api.ledger, -1, id="eve")
        assert_problem_of(await reserve(api, "c-1", shown, campaign="eve"))
        assert_problem_of(await reserve(api, "c-3", "nonsense"))
        assert (await api.reserve("A", headers={"atp-ticket": "nonsense"})).status_code == 201  # no campaign
        batch = {"reservations": [{"lines": [{"sku": "A", "quantity": 1}], "campaign": "bf", "customer": "c-4"}]}
        answer = await api.send("POST", "/v1/reservations/batch", json=batch)
        assert answer.json()["results"][0]["problem"]["type"].endswith(":ticket-required")
        fourth = {"atp-ticket": await due_ticket(api, "c-4")}
        answer = await api.send("POST", "/v1/reservations/batch", json=batch, headers=fourth)
        assert answer.json()["results"][0]["status"] == 201


def assert_problem_of(answer: httpx.Response) -> dict[str, Any]:
    return assert_problem(answer, 409, "ticket-required")


async def test_tickets_that_are_over_or_not_due_are_refused(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, SETTINGS) as api:
        await api.stock("A", 20)
        await put_campaign(api.ledger, -1)
        ours = Bearer("bf", "shop", "c-1")
        late = sign(SECRET, ours, Ticket(False, 1_000_000, ms(), ms() + 60_000))
        problem = assert_problem_of(await reserve(api, "c-1", late))
        assert problem["expected_at"] > "2026"
        over = sign(SECRET, ours, Ticket(False, 0, ms() - 60_000, ms() - 10))
        assert_problem_of(await reserve(api, "c-1", over))
        assert_problem_of(await ticket(api, "c-1", over))
        assert_problem_of(await ticket(api, "c-1", "nonsense"))
        forged = sign(b"x" * 32, ours, Ticket(False, 0, ms(), ms() + 60_000))
        assert_problem_of(await reserve(api, "c-1", forged))


async def test_who_asks_for_a_ticket_where_there_is_none_is_told(valkey: str, namespace: str, api: Api) -> None:
    await put_campaign(api.ledger, -1)
    assert_problem(await ticket(api, "c-1"), 503, "tickets-unavailable")  # no secrets in these settings
    async with served(valkey, namespace + "b", SETTINGS) as other:
        await put_campaign(other.ledger, -1, id="open", waiting_room=False)
        await put_campaign(other.ledger, -1, id="app", channels=["app"])
        await put_campaign(other.ledger, -700, id="over")
        for campaign in ("open", "none"):
            assert_problem(await ticket(other, "c-1", campaign=campaign), 404, "not-found")
        assert_problem(await ticket(other, "c-1", campaign="over"), 409, "campaign-closed")
        bound = await other.add_client("bound", ["reservations:write"], ["web"])
        assert_problem(await ticket(other, "c-1", campaign="app", key=bound), 403, "channel-not-allowed")
        assert_problem(await ticket(other, ""), 400, "invalid-request")
        assert_problem(await ticket(other, "a\nb", campaign="app"), 400, "invalid-request")


async def test_early_tickets_are_drawn_at_the_start_and_late_ones_follow(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, SETTINGS) as api:
        await api.stock("A", 20)
        opens = await put_campaign(api.ledger, 3)
        early = [(await ticket(api, f"e-{n}")).json() for n in (1, 2, 3, 1)]
        assert [(view["due"], view["ahead"]) for view in early] == [(False, None)] * 4
        assert early[-1]["waiting"] == 3  # who comes twice counts once
        assert_problem(await reserve(api, "e-1", early[0]["ticket"]), 409, "campaign-closed")
        await wait_until_async(lambda: ms() > opens, description="the campaign opens")
        for n, view in enumerate(early[:3], 1):
            await wait_until_async(lambda n=n, view=view: _is_due(api, f"e-{n}", view["ticket"]))
        assert (await reserve(api, "e-1", early[0]["ticket"])).status_code == 201
        assert_problem_of(await reserve(api, "e-1", early[3]["ticket"]))  # drawing twice is drawing once
        late = await due_ticket(api, "l-1")
        assert (await reserve(api, "l-1", late)).status_code == 201


async def test_the_room_closes_when_nothing_is_left_and_opens_when_units_come_back(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, SETTINGS) as api:
        await api.stock("A", 1)
        await put_campaign(api.ledger, -1, quantity=1)
        first, second = await due_ticket(api, "c-1"), await due_ticket(api, "c-2")
        held = (await reserve(api, "c-1", first)).json()
        assert (await ticket(api, "c-2", second)).status_code == 201  # the hold may come back
        await api.send("POST", f"/v1/reservations/{held['id']}/confirm", json={})

        async def closed() -> bool:
            return (await ticket(api, "c-2", second)).status_code == 409

        await wait_until_async(closed, description="the room is closed")
        assert_problem(await ticket(api, "c-3"), 409, "campaign-closed")
        await api.send("POST", f"/v1/reservations/{held['id']}/release", json={"of": "all"})

        async def open_again() -> bool:
            return (await ticket(api, "c-2", second)).status_code == 201

        await wait_until_async(open_again, description="the room is open again")


async def two(stack: AsyncExitStack, valkey: str, namespace: str) -> list[Rooms]:
    """The rooms of two processes over one ledger."""
    found = []
    for _ in range(2):
        ledger = Ledger(patient_ledger(valkey, namespace))
        await ledger.open({})
        stack.push_async_callback(ledger.close)
        found.append(Rooms(ledger, [SECRET]))
    return found


async def test_two_processes_give_every_place_once_and_admit_alike(valkey: str, namespace: str) -> None:
    async with AsyncExitStack() as stack:
        one, other = await two(stack, valkey, namespace)
        await put_campaign(one._ledger, -1, quantity=10**6)
        for rooms in (one, other):
            (await rooms._find("bf")).left = 10**6  # pyright: ignore[reportOptionalMemberAccess]
            rooms._rooms["bf"].stock_at = time.monotonic() + 60
        entered = await asyncio.gather(
            *(rooms.enter(Bearer("bf", "shop", f"{n}"), "", frozenset()) for n in range(200) for rooms in (one, other))
        )
        places = [made.place(0) for _, made, _ in entered]
        assert sorted(places) == list(range(400))
        for rooms in (one, other):
            mine = [place for (room, _, _), place in zip(entered, places, strict=True) if room is rooms._rooms["bf"]]
            assert mine == sorted(mine)  # first come, first served

        async def admitted() -> bool:
            for rooms in (one, other):
                await rooms._tell()
            return all(rooms._rooms["bf"].standing.admitted == 400 for rooms in (one, other))  # pyright: ignore[reportOptionalMemberAccess]

        await wait_until_async(admitted, description="all are admitted, and nobody in advance")


async def test_a_sale_that_is_put_anew_has_an_empty_room(valkey: str, namespace: str) -> None:
    async with AsyncExitStack() as stack:
        one, _ = await two(stack, valkey, namespace)
        ledger, rooms = one._ledger, one._ledger.rooms

        async def attend(*customers: str) -> Standing:
            policy = json.decode((await ledger.policy("campaign", "bf")).body)  # pyright: ignore[reportOptionalMemberAccess]
            (standing,) = await rooms.attend([Attendance("bf", policy["opens"], policy["closes"], list(customers))])
            return standing

        async def all_admitted() -> bool:
            return (await attend()).admitted == 20

        await put_campaign(ledger, 600)
        assert (await attend("e-1", "e-2")).early == 2
        await put_campaign(ledger, -1)
        assert (await attend(*(f"c-{n}" for n in range(18)))).arrived == 20
        await wait_until_async(all_admitted, description="the first sale has let everybody in")
        await put_campaign(ledger, 500)  # postponed, though it was open: who came early is still early
        assert (await attend("e-1", "e-3")).early == 3
        await put_campaign(ledger, -20, closes=ms() - 10)  # it is over
        await ledger.apply([])
        await put_campaign(ledger, 700)
        assert (await attend("n-1")).early == 1
        opens = await put_campaign(ledger, -0.01)
        begun = await attend("n-2")
        assert (begun.early, begun.arrived, begun.first) == (1, 2, 1)
        assert begun.admitted <= 0.5 * (begun.now - opens)


async def test_a_place_of_an_earlier_opening_is_none(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, SETTINGS) as api:
        await api.stock("A", 20)
        await put_campaign(api.ledger, -1)
        shown = await due_ticket(api, "c-1")
        bought = await reserve(api, "c-1", shown, headers={"idempotency-key": "once"})
        assert bought.status_code == 201
        opens = await put_campaign(api.ledger, 3)

        async def is_drawn_for() -> bool:
            nonlocal again
            again = (await ticket(api, "c-1", shown)).json()
            return again["ahead"] is None

        again: dict[str, Any] = {}
        await wait_until_async(is_drawn_for, description="the process knows that it was postponed")
        await wait_until_async(lambda: ms() > opens, description="it opens")
        await wait_until_async(lambda: _is_due(api, "c-1", again["ticket"]), description="the draw lets in")
        assert_problem_of(await reserve(api, "c-1", shown))
        repeat = await reserve(api, "c-1", shown, headers={"idempotency-key": "once"})
        assert (repeat.status_code, repeat.headers["idempotency-replayed"]) == (201, "true")
        assert (await reserve(api, "c-1", again["ticket"])).status_code == 201


async def test_those_who_arrive_together_share_calls(valkey: str, namespace: str) -> None:
    async with AsyncExitStack() as stack:
        one, _ = await two(stack, valkey, namespace)
        await put_campaign(one._ledger, 600)
        await one._find("bf")
        calls = []
        attend = one._ledger.rooms.attend
        one._ledger.rooms.attend = lambda told: calls.append(told) or attend(told)  # pyright: ignore[reportAttributeAccessIssue]
        await asyncio.gather(*(one.enter(Bearer("bf", "shop", f"{n}"), "", frozenset()) for n in range(300)))
        assert len(calls) < 10
        assert 295 <= one._rooms["bf"].standing.early <= 305  # pyright: ignore[reportOptionalMemberAccess]


async def test_the_pace_is_nine_tenths_of_what_is_served_while_processes_are_at_their_limit(
    valkey: str, namespace: str
) -> None:
    async with AsyncExitStack() as stack:
        one, _ = await two(stack, valkey, namespace)
        rooms, at = one._ledger.rooms, ms()
        people = [str(n) for n in range(100_000)]

        async def attend(served: int, shed: int) -> Standing:
            (standing,) = await rooms.attend([Attendance("bf", at - 1, at + 60_000, [], served, shed)])
            return standing

        (begun,) = await rooms.attend([Attendance("bf", at - 1, at + 60_000, people)])
        assert begun.rate == 500
        started = begun.now

        async def paced() -> bool:
            nonlocal found
            found = await attend(0, 0)
            return found.rate != 500

        found = await attend(2_000, 3)
        await wait_until_async(paced, description="the first step of the pace")
        assert 0.9 * 2_000 * 1000 / (found.now - started + 5) <= found.rate <= 1_800
        slow = found.rate
        await attend(3_000, 0)
        await wait_until_async(lambda: _faster(attend, slow), description="nobody was refused, and people wait")


async def _faster(attend: Any, rate: float) -> bool:
    return (await attend(0, 0)).rate == pytest.approx(1.25 * rate)


async def test_another_policy_counts_within_seconds(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, SETTINGS) as api:
        await api.stock("A", 20)
        await put_campaign(api.ledger, -1)
        assert_problem_of(await reserve(api, "c-1"))
        await put_campaign(api.ledger, -1, waiting_room=False)

        async def let_in() -> bool:
            return (await reserve(api, "c-1")).status_code == 201

        await wait_until_async(let_in, description="the room is gone")
        await put_campaign(api.ledger, -1)
        assert_problem_of(await reserve(api, "c-2"))  # at once: the law knows


async def test_a_crowd_that_comes_to_a_room_nobody_has_read_yet_is_let_in(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, SETTINGS) as api:
        await api.stock("A", 500)
        await put_campaign(api.ledger, -1, quantity=500)
        answers = await asyncio.gather(*(ticket(api, f"c-{n}") for n in range(40)))
        assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers][:2]


async def test_those_who_came_early_count_for_as_long_as_the_campaign_is_put_off(valkey: str, namespace: str) -> None:
    async with AsyncExitStack() as stack:
        one, _ = await two(stack, valkey, namespace)
        rooms, now, hour = one._ledger.rooms, ms(), 3_600_000
        await rooms.attend([Attendance("bf", now + hour, now + 2 * hour, ["e-1", "e-2"])])
        (put_off,) = await rooms.attend([Attendance("bf", now + 100 * hour, now + 101 * hour, [])])
        assert put_off.early == 2
        reader = rooms._reader
        assert await reader.command("PEXPIRETIME", reader.key("early:bf:0")) == now + 102 * hour
