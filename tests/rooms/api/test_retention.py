"""What callers see of a reservation whose record the ledger has cut down to a tombstone (R18)."""

import time

import pytest

from atp.domain.records import WHOLE_MS
from atp.journal import Journal, JournalSettings, migrate
from atp.ledger import Ledger, keys, library, wire
from atp.ledger.connection import connect

from .conftest import served

pytestmark = pytest.mark.anyio


async def let_time_pass(ledger: Ledger, url: str, namespace: str, ms: int) -> None:
    """An empty batch with a clock of its own: the ledger's time never runs backward again."""
    (head,) = await ledger.heads()
    now = int(time.time() * 1000) + ms
    connection = await connect(url)
    header = wire.encode_header(wire.Header(1, "clock", 1, head.epoch, head.seq, now, now))
    meta = keys.meta(namespace, 0)
    await connection.ask("FCALL", library.function("apply"), 1, meta, header, wire.encode_commands([]))
    await connection.end()


async def test_repeats_are_answered_from_the_journal(valkey: str, namespace: str, database: str) -> None:
    await migrate(database)
    journal = Journal(JournalSettings(database, namespace))
    await journal.open()
    async with served(valkey, namespace, journal=journal) as api:
        await api.stock("A", 5)
        key = {"idempotency-key": "cart-1"}
        held = await api.reserve("A", 2, headers=key)
        released = await api.send("POST", f"/v1/reservations/{held.json()['id']}/release", headers=key)
        (head,) = await api.ledger.heads()
        claim = await journal.claim(0, "test")
        await journal.append(0, claim.seq, await api.ledger.read_entries(0, claim.seq, 1_000), claim.fence)
        await api.ledger.trim(0, head.seq)
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
