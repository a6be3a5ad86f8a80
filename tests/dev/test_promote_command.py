"""``atp promote``: makes a replica the primary, and says what was done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from atp.ledger import Ledger
from tests.rooms.ledger.pair import Pair, ask, paired
from tests.support import patient_ledger

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


def promote(pair: Pair, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    settings = {"ATP_REDIS_URL": pair.replica.url, "ATP_DURABILITY": "replica"}
    return subprocess.run(
        [sys.executable, "-m", "atp", "promote", *words],
        env=environ | settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.soak
async def test_nothing_is_done_unasked(tmp_path: Path) -> None:
    async with paired(tmp_path) as pair:
        ledger = Ledger(patient_ledger(pair.primary.url, durability="replica"))
        await ledger.open({})
        await ledger.close()
        unasked = promote(pair)
        assert unasked.returncode == 1
        assert "say --yes" in unasked.stderr
        assert b"role:slave" in await ask(pair.replica, "INFO", "replication")


async def test_a_replica_becomes_the_primary(tmp_path: Path) -> None:
    async with paired(tmp_path) as pair:
        ledger = Ledger(patient_ledger(pair.primary.url, durability="replica"))
        await ledger.open({})
        ended = (await ledger.heads())[0].seq
        await ledger.close()
        pair.primary.kill()

        done = promote(pair, "--yes", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["was"]["replica"] is True
        assert told["was"]["primary"].startswith("127.0.0.1:")
        assert [(begun["epoch"], begun["ended"]) for begun in told["begun"]] == [(2, ended)]
        assert "ATP_DATABASE_URL is not set" in done.stderr
        assert pair.replica.secret not in done.stdout + done.stderr
        assert b"role:master" in await ask(pair.replica, "INFO", "replication")
