"""PostgreSQL away under load for longer: a minute, or as long and with as many buyers as the environment says."""

import os
from pathlib import Path

import pytest

from atp.config import Config

from .checkers.violation import tell
from .journal_down import run_out
from .sale import open_sale
from .stack import Stack
from .table import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.soak]

#: For minutes at a steady rate there is ``python -m loadtests.outage``.
SECONDS = float(os.environ.get("FAULTS_JOURNAL_DOWN_S", "60"))
BUYERS = int(os.environ.get("FAULTS_BUYERS", "10"))
OUTBOX = int(os.environ.get("FAULTS_OUTBOX", "10000"))


async def test_reservations_go_on_until_the_outbox_is_full(folder: Path, tally: Tally) -> None:
    async with Stack(folder, config=Config(outbox_max=OUTBOX)) as stack, open_sale(stack, buyers=BUYERS) as sale:
        await run_out(stack, sale, SECONDS)
        await sale.until("a journal less than a second behind", sale.lag_is_short)
        outcome = await sale.close()
    tally.add(f"postgres away for {SECONDS:g} s, outbox of {OUTBOX:,} full", 1, outcome)
    tally.write()
    assert not outcome.violations, tell(outcome.violations)
