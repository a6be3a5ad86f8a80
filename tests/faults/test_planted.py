"""The harness finds what it is there to find: faults planted into the service turn it red."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from atp.dev.valkey import Valkey
from atp.ledger.connection import connect

from . import strace
from .checkers.violation import Violation
from .kinds.disk import PowerLoss, log_of
from .kinds.fault import Fault
from .kinds.loss import RollBack
from .kinds.processes import Freeze, Kill
from .kinds.wires import Reset
from .sale import Patience, open_sale
from .stack import PLANTS, Stack

pytestmark = pytest.mark.anyio

#: Nobody waits long for what a planted fault has broken for good.
SHORT = Patience(buyer_s=3, recover_s=6, quiet_s=8)
CHANCE = 7
#: Operations in which what is planted shows.
TRADE = 300


async def found(stack: Stack, fault: Fault | None, times: int = 1) -> list[Violation]:
    """What a sale shows in which the fault happens so many times."""
    async with open_sale(stack, patience=SHORT) as sale:
        chance = Random(CHANCE)
        for _ in range(times if fault else 0):
            assert fault is not None
            await fault.run(stack, chance)
            await asyncio.sleep(0.5)
        await sale.until("some trade", lambda: sale.history.acknowledged() > TRADE)
        outcome = await sale.close()
    return outcome.violations + (fault.found if fault else [])


def seen(violations: list[Violation]) -> set[tuple[str, str]]:
    return {(violation.check, violation.sort) for violation in violations}


def test_what_is_planted_still_finds_its_place() -> None:
    names = [path.stem for path in PLANTS.glob("*.py") if path.stem not in ("sitecustomize", "lua")]
    path = f"{PLANTS}{os.pathsep}{Path(__file__).parents[2]}"
    plants = ",".join(f"{name}=1" for name in sorted(names))
    environment = {**os.environ, "PYTHONPATH": path, "FAULTS_PLANTS": plants}
    done = subprocess.run([sys.executable, "-c", ""], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def traced() -> None:
    if reason := strace.missing():
        pytest.skip(f"power loss: {reason}")


@pytest.mark.usefixtures("traced")
async def test_the_order_of_answers_tells_a_sync_every_second_from_one_before_each(folder: Path) -> None:
    with Valkey(folder) as server:
        connection = await connect(server.url)
        early = {}
        for policy in ("always", "everysec"):
            await connection.ask("CONFIG", "SET", "appendfsync", policy)
            log = folder / f"{policy}.trace"
            tracer = strace.Strace(server.pid, *strace.TRACED, log=log)
            tracer.start()
            for number in range(100):
                await connection.ask("SET", "units", number)
            tracer.end()
            steps = list(strace.steps(log.read_text().splitlines(), log_of(server).name))
            early[policy] = strace.early_answers(steps), strace.durable(steps)
        await connection.end()
    (none, (written, covered)), (many, (more, less)) = early["always"], early["everysec"]
    assert none == 0
    assert written == covered > 0
    assert many >= 50
    assert more > less


@pytest.mark.soak
@pytest.mark.usefixtures("traced")
async def test_a_sync_every_second_under_power_loss(folder: Path) -> None:
    async with Stack(folder) as stack:
        await stack.ask_ledger("CONFIG", "SET", "appendfsync", "everysec")
        violations = await found(stack, PowerLoss())
    assert {("P2", "wrong"), ("C3", "lost")} <= seen(violations)


@pytest.mark.soak
async def test_a_client_that_sends_again_by_itself(folder: Path) -> None:
    async with Stack(folder, {"api": "retries"}) as stack:
        violations = await found(stack, Reset("valkey"), times=6)
    assert seen(violations) == {("R5", "doubled")}


@pytest.mark.soak
async def test_an_acknowledgement_before_the_reply(folder: Path) -> None:
    async with Stack(folder, {"ingest": "ack_first"}) as stack:
        violations = await found(stack, Kill("valkey"), times=3)
    assert {("C3", "lost"), ("C1", "wrong")} <= seen(violations)


@pytest.mark.soak
async def test_drainers_without_fences(folder: Path) -> None:
    async with Stack(folder, {"drain": "unfenced"}, extra=["drain-2"]) as stack:
        # The key that a second copy of an entry would hit is taken away: the fence alone is under test.
        await stack.ask_journal("alter table entries drop constraint entries_pkey")
        violations = await found(stack, Freeze("drain"), times=2)
    assert ("C3", "doubled") in seen(violations)


@pytest.mark.soak
async def test_holds_that_end_with_their_key(folder: Path) -> None:
    async with Stack(folder, dict.fromkeys(("api", "ingest", "drain"), "key_ttl")) as stack:
        violations = await found(stack, None)
    assert ("C2", "stranded") in seen(violations)


@pytest.mark.soak
async def test_a_ledger_that_takes_a_rollback_for_the_truth(folder: Path) -> None:
    async with Stack(folder, dict.fromkeys(("api", "ingest", "drain"), "no_epoch")) as stack:
        violations = await found(stack, RollBack())
    assert {("C3", "lost")} <= seen(violations)
