"""Problems: every outcome and every error of the ground has its answer, and none tells of our inside."""

from typing import NoReturn

import httpx
import pytest
from litestar.enums import HttpMethod

from atp.api.access.identity import PUBLIC
from atp.api.app import handler, litestar_app
from atp.api.call import Call
from atp.api.door import front_door
from atp.api.problems import refusal
from atp.api.routes import Route
from atp.api.service import Service
from atp.api.settings import ApiSettings
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.journal import Journal, JournalSettings, migrate
from atp.ledger import (
    BasketInProgress,
    CrossPartition,
    Ledger,
    LedgerBusy,
    LedgerError,
    LedgerRecovering,
    LedgerUnavailable,
    LedgerUnfit,
    OutcomeUnknown,
)
from tests.support import patient_journal, patient_ledger

from .conftest import assert_problem, served

pytestmark = pytest.mark.anyio

SECRET = "redis://:hunter2@10.0.0.1"


async def answer_to(error: Exception) -> httpx.Response:
    """What a caller gets when a route raises ``error``."""

    async def fail(service: Service, call: Call) -> NoReturn:
        raise error

    route = Route(HttpMethod.GET, "/fail", PUBLIC, fail, "fail", "Fails")
    service = Service(Ledger(patient_ledger("redis://127.0.0.1:1/0")), None, ApiSettings())
    app = front_door(None, litestar_app(service, [handler(service, route)]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        return await http.get("/fail")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (LedgerBusy, 503, "overloaded"),
        (LedgerUnavailable, 503, "ledger-unavailable"),
        (LedgerRecovering, 503, "recovering"),
        (OutcomeUnknown, 503, "outcome-unknown"),
        (LedgerUnfit, 503, "ledger-unavailable"),
        (CrossPartition, 400, "invalid-request"),
        (BasketInProgress, 409, "idempotency-in-progress"),
    ],
)
async def test_errors_of_the_ledger(error: type[LedgerError], status: int, code: str) -> None:
    answer = await answer_to(error(f"cannot use {SECRET}"))
    problem = assert_problem(answer, status, code)
    assert "hunter2" not in answer.text
    if status == 503:
        assert "Idempotency-Key" in problem["detail"] or error is LedgerUnfit


async def test_what_nobody_expected() -> None:
    answer = await answer_to(RuntimeError(f"broken at {SECRET}"))
    assert_problem(answer, 500, "internal-error")
    for inside in ("hunter2", "Traceback", "RuntimeError", ".py"):
        assert inside not in answer.text


def test_every_refusal_has_a_problem() -> None:
    stock_only = {Outcome.MEASURE_MISMATCH, Outcome.VERSION_KIND_MISMATCH, Outcome.CONTRADICTED, Outcome.MOVED_ON}
    for outcome in Outcome:
        if outcome >= Outcome.KEY_REUSED and outcome not in stock_only:
            problem = refusal(Result(outcome, 1, detail="0"))
            assert problem.kind.status in range(400, 500) or outcome is Outcome.RECOVERING


async def test_a_reservation_that_only_the_journal_knows(valkey: str, database: str, namespace: str) -> None:
    await migrate(database)
    journal = Journal(patient_journal(database, namespace))
    await journal.open()
    try:
        async with served(valkey, namespace) as api:
            await api.stock("A", 5)
            kept = (await api.reserve("A", 2)).json()
            await api.send("POST", f"/v1/reservations/{kept['id']}/release")
            claim = await journal.claim(0, "test")
            await journal.append(0, 0, await api.ledger.read_entries(0, 0, 1000), claim.fence)
        async with served(valkey, namespace + "b", journal=journal) as api:
            answer = await api.send("GET", f"/v1/reservations/{kept['id']}")
            assert (answer.status_code, answer.json()["state"]) == (200, "released")
            assert_problem(await api.send("GET", f"/v1/reservations/{'0' * 19}"), 404, "not-found")
            bound = await api.add_client("market", ["reservations:write"], ["market"])
            assert_problem(await api.send("GET", f"/v1/reservations/{kept['id']}", key=bound), 404, "not-found")
            assert (await api.http.get("/health/ready")).json()["checks"]["journal"] == {"ok": True}
    finally:
        await journal.close()


async def test_without_the_journal_absence_is_not_claimed(valkey: str, namespace: str) -> None:
    away = Journal(JournalSettings("postgresql://127.0.0.1:1/atp", namespace))
    await away.open()
    try:
        for journal in (None, away):
            async with served(valkey, f"{namespace}{journal is None}", journal=journal) as api:
                answer = await api.send("GET", f"/v1/reservations/{'0' * 19}")
                assert_problem(answer, 503, "journal-unavailable")
                await api.stock("A", 1)
                id = (await api.reserve("A")).json()["id"]
                assert (await api.send("GET", f"/v1/reservations/{id}")).status_code == 200
    finally:
        await away.close()
