"""What callers see of a reservation whose record the ledger has cut down to a tombstone (R18)."""

import time

import pytest

from atp.domain.records import WHOLE_MS
from atp.journal import Journal
from atp.ledger import Ledger, keys, library, wire
from tests.support import connected, patient_journal, wait_until_async

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio


async def let_time_pass(ledger: Ledger, url: str, namespace: str, ms: int) -> None:
    """An empty batch with a clock of its own: the ledger's time never runs backward again."""
    (head,) = await ledger.heads()
    now = int(time.time() * 1000) + ms
    connection = await connected(url)
    header = wire.encode_header(wire.Header(1, "clock", 1, head.epoch, head.seq, now, now))
    meta = keys.meta(namespace, 0)
    await connection.ask("FCALL", library.function("apply"), 1, meta, header, wire.encode_commands([]))
    await connection.end()


async def test_repeats_are_answered_from_the_journal(valkey: str, namespace: str, migrated: str) -> None:
    journal = Journal(patient_journal(migrated, namespace))
    await journal.open()
    async with served(valkey, namespace, journal=journal) as api:
        await api.stock("A", 5)
        key = {"idempotency-key": "cart-1"}
        held = await api.reserve("A", 2, headers=key)
        released = await api.send("POST", f"/v1/reservations/{held.json()['id']}/release", headers=key)
        await drain(api, journal)
        await let_time_pass(api.ledger, valkey, namespace, WHOLE_MS + 1_000)
        assert await api.ledger.reservation(held.json()["id"]) is None
        again = await api.reserve("A", 2, headers=key)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
        assert again.json()["id"] == held.json()["id"]
        assert again.json()["state"] == "released"
        repeat = await api.send("POST", f"/v1/reservations/{held.json()['id']}/release", headers=key)
        assert (repeat.status_code, repeat.json()) == (200, released.json())
        found = await api.send("GET", f"/v1/reservations/{held.json()['id']}")
        assert found.json()["lines"][0]["released"] == 2
        other = await api.reserve("A", 1, headers=key)
        assert other.status_code == 422
        confirm = await api.send("POST", f"/v1/reservations/{held.json()['id']}/confirm")
        assert (confirm.status_code, confirm.json()["type"]) == (409, "urn:atp:problem:reservation-not-active")
        assert await api.ats("A") == 5
    await journal.close()


async def drain(api: Api, journal: Journal) -> None:
    """The journal gets everything, and the outbox loses it."""
    (head,) = await api.ledger.heads()
    claim = await journal.claim(0, "test")
    await journal.append(0, claim.seq, await api.ledger.read_entries(0, claim.seq, 1_000), claim.fence)
    await api.ledger.trim(0, head.seq)


@pytest.mark.parametrize("days", [0, 2], ids=["a tombstone", "nothing"])
async def test_expired_units_are_confirmed_from_what_the_journal_has(
    valkey: str, namespace: str, migrated: str, days: int
) -> None:
    journal = Journal(patient_journal(migrated, namespace))
    await journal.open()
    async with served(valkey, namespace, journal=journal) as api:
        await api.stock("A", 5)
        path = f"/v1/reservations/{(await api.reserve('A', 4, body={'ttl_seconds': 1})).json()['id']}"

        async def expired() -> bool:
            return (await api.send("GET", path)).json()["state"] == "expired"

        await wait_until_async(expired, description="the hold expires")
        await drain(api, journal)
        await let_time_pass(api.ledger, valkey, namespace, WHOLE_MS + 1_000)
        for day in range(days):
            await let_time_pass(api.ledger, valkey, namespace, (day + 1) * 86_400_000)
        assert_problem(await api.send("POST", f"{path}/confirm"), 409, "reservation-expired")
        other = await api.reserve("A", 2)
        refused = await api.send("POST", f"{path}/confirm", json={"reacquire": True})
        (fault,) = assert_problem(refused, 409, "insufficient-availability")["errors"]
        assert (fault["line_id"], fault["requested"], fault["available"]) == ("1", 4, 3)
        await api.send("POST", f"/v1/reservations/{other.json()['id']}/release")
        body, key = {"reacquire": True, "order_ref": "A-1"}, {"idempotency-key": "paid"}
        confirmed = await api.send("POST", f"{path}/confirm", json=body, headers=key)
        assert confirmed.status_code == 200, confirmed.text
        assert (confirmed.json()["state"], confirmed.json()["order_ref"]) == ("committed", "A-1")
        assert confirmed.json()["lines"][0]["committed"] == 4
        again = await api.send("POST", f"{path}/confirm", json=body, headers=key)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        assert await api.ats("A") == 1
        await drain(api, journal)
        found = await journal.reservation(path.rpartition("/")[2])
        assert found is not None
        assert found.state == "committed"
    await journal.close()


async def test_changes_of_what_only_the_journal_has_are_answered_as_before(
    valkey: str, namespace: str, migrated: str
) -> None:
    journal = Journal(patient_journal(migrated, namespace))
    await journal.open()
    async with served(valkey, namespace, journal=journal) as api:
        await api.stock("A", 5)
        path = f"/v1/reservations/{(await api.reserve('A', 2)).json()['id']}"
        key = {"idempotency-key": "k"}
        released = await api.send("POST", f"{path}/release", headers=key)
        await drain(api, journal)
        await let_time_pass(api.ledger, valkey, namespace, WHOLE_MS + 1_000)
        await let_time_pass(api.ledger, valkey, namespace, 86_500_000)
        repeat = await api.send("POST", f"{path}/release", headers=key)
        assert (repeat.status_code, repeat.json()) == (200, released.json())
        assert (await api.send("POST", f"{path}/release")).status_code == 200
        assert_problem(await api.send("POST", f"{path}/confirm"), 409, "reservation-not-active")
        assert_problem(
            await api.send("POST", f"{path}/confirm", json={"reacquire": True}), 409, "reservation-not-active"
        )
        other = path[:-4] + "AAAA"
        assert_problem(await api.send("POST", f"{other}/confirm", json={"reacquire": True}), 404, "not-found")
    await journal.close()


async def test_without_the_journal_the_answer_is_that_it_is_away(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace) as api:
        await api.stock("A", 5)
        key = {"idempotency-key": "cart-1"}
        held = await api.reserve("A", 2, headers=key)
        await api.send("POST", f"/v1/reservations/{held.json()['id']}/release")
        await api.ledger.trim(0, (await api.ledger.heads())[0].seq)
        await let_time_pass(api.ledger, valkey, namespace, WHOLE_MS + 1_000)
        again = await api.reserve("A", 2, headers=key)
        assert (again.status_code, again.json()["type"]) == (503, "urn:atp:problem:journal-unavailable")
        assert await api.ats("A") == 5
