"""Recovery as callers and operators see it: `recovering`, what is open after a loss, and the word that accepts it."""

import asyncio

import pytest

from atp.journal import Journal, migrate
from atp.ledger import Ledger, keys
from atp.outbox import Counters, Drainer, Settings
from atp.outbox.handover import Handover
from atp.rebuild import LastTold, Watch
from atp.rebuild import Settings as RebuildSettings
from tests.rooms.api.conftest import assert_problem, served
from tests.support import connected, patient_journal, wait_until_async

pytestmark = pytest.mark.anyio

QUICK = RebuildSettings(witness_s=0.2, watch_s=0.05)


class Held(LastTold):
    """A witness whose word a rebuild waits for until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__(None, QUICK)
        self.go_on = asyncio.Event()

    async def seq(self, partition: int) -> int:
        await self.go_on.wait()
        return await super().seq(partition)


async def test_a_lost_ledger_over_http(valkey: str, database: str, namespace: str) -> None:
    await migrate(database)
    journal = Journal(patient_journal(database, namespace))
    await journal.open()
    connection, witness = await connected(valkey), Held()
    try:
        async with served(
            valkey,
            namespace,
            journal=journal,
            watch=lambda ledger: Watch(ledger, journal, witness, QUICK),
        ) as api:
            await api.stock("A", 5)
            held = (await api.reserve("A")).json()
            await drain(api.ledger, journal)
            await api.stock("A", 7)
            for key in await connection.ask("KEYS", keys.prefix(namespace, 0) + "*"):
                await connection.ask("DEL", key)
            await wait_until_async(lambda: api.ledger.recovering == [0], description="it is noticed")
            assert_problem(await api.reserve("A"), 503, "recovering")
            ready = await api.http.get("/health/ready")
            assert ready.status_code == 503
            assert "0" in ready.json()["checks"]["ledger"]["rebuilding"]
            witness.go_on.set()
            await wait_until_async(lambda: api.ledger.epochs == (2,) and not api.ledger.recovering, 10, "it serves")

            assert_problem(await api.reserve("A"), 503, "recovering")
            assert (await api.send("POST", f"/v1/reservations/{held['id']}/confirm", json={})).status_code == 200
            assert (await api.http.get("/v1/availability/A", headers=_as(api.key))).status_code == 200
            await drain(api.ledger, journal)
            (loss,) = (await api.send("GET", "/v1/exceptions?kind=loss", key=api.admin)).json()["exceptions"]
            path = f"/v1/exceptions/{loss['id']}/resolve"
            refused = await api.send("POST", path, key=api.admin, json={"reason": "seen", "resolution": "accepted"})
            assert refused.status_code == 400
            asked = await api.send("POST", "/v1/rebuilds", key=api.admin, json={"accept_loss": True, "reason": "seen"})
            assert (asked.status_code, asked.json()) == (202, {"accepted": [0], "rebuilding": []})
            assert (await api.reserve("A")).status_code == 201

            assert (await api.send("POST", "/v1/rebuilds", json={})).status_code == 403
            asked = await api.send("POST", "/v1/rebuilds", key=api.admin, json={})
            assert asked.json() == {"accepted": [], "rebuilding": [0]}
            await wait_until_async(lambda: api.ledger.epochs == (3,) and not api.ledger.recovering, 10, "by hand")
            assert (await api.reserve("A")).status_code == 201
    finally:
        witness.go_on.set()
        await connection.end()
        await journal.close()


async def drain(ledger: Ledger, journal: Journal) -> None:
    drainer = Drainer(ledger, journal, 0, "me", Handover(100), Settings(), Counters())
    while await drainer.run_once():
        pass


def watching(ledger: Ledger, journal: Journal) -> Watch:
    return Watch(ledger, journal, LastTold(None, QUICK), QUICK)


def _as(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
