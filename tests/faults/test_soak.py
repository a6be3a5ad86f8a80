"""Each fault again and again under a sale, and a line in the table for it. ``FAULTS_RUNS`` says how often.

``FAULTS_HOLDS`` is how many holds and positions the ledger's server has meanwhile: a million for kill -9 of Valkey and
the torn tail (``-k "kill_-9_valkey or torn"``).
"""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from .checkers.violation import tell
from .full import fill
from .kinds.every import FAULTS
from .kinds.fault import Fault
from .sale import open_sale
from .table import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.soak]

RUNS = int(os.environ.get("FAULTS_RUNS", "20"))
HOLDS = int(os.environ.get("FAULTS_HOLDS", "0"))


@pytest.mark.parametrize("make", FAULTS, ids=[make().name.replace(" ", "_") for make in FAULTS])
async def test_a_fault(make: Callable[[], Fault], folder: Path, tally: Tally) -> None:
    fault = make()
    if reason := fault.missing():
        tally.skip(fault.name, reason)
        tally.write()
        pytest.skip(f"{fault.name}: {reason}")
    chance = Random(fault.name)
    async with fault.stack(folder) as stack, open_sale(stack, slack_s=fault.clock_slack_s) as sale:
        if HOLDS:
            await fill(stack.servers["valkey"].url, HOLDS)  # type: ignore[attr-defined]
        for _ in range(RUNS):
            await fault.run(stack, chance)
            await sale.recover()
        outcome = await sale.close()
        outcome.violations += fault.found
    tally.add(f"{fault.name}, {HOLDS:,} holds and positions" if HOLDS else fault.name, RUNS, outcome)
    tally.write()
    assert not outcome.violations, tell(outcome.violations)
    assert outcome.acknowledged > 10 * RUNS
