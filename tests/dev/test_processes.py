"""``atp drain`` and ``atp ingest`` as people run them: processes of their own, on real servers."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atp.cli.errors import Refused
from atp.cli.metrics import metrics_served
from atp.config import Config
from atp.dev.ports import free_port
from atp.domain.commands import Level, PutPolicy, Reserve, ReserveLine
from atp.domain.entries import Expired
from atp.domain.ids import reservation_id
from atp.journal import Journal, migrate
from atp.ledger import Ledger
from tests.support import patient_journal, patient_ledger, wait_until_async

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def settings(valkey: str, nats: str, database: str, namespace: str) -> dict[str, str]:
    """The environment of a deployment of this test's own, with three units of one sku."""
    await migrate(database)
    ledger = Ledger(patient_ledger(valkey, namespace))
    await ledger.open({})
    await ledger.put_policy(PutPolicy("location", "DC1", '{"kind":"warehouse"}'))
    await ledger.apply([Level("A", "DC1", "wms", 3, "sequence", (0, 1), "", 0, 0)])
    await ledger.close()
    return {
        "ATP_REDIS_URL": valkey,
        "ATP_NATS_URL": nats,
        "ATP_DATABASE_URL": database,
        "ATP_NAMESPACE": namespace,
        "ATP_LOG_FORMAT": "json",
    }


@contextmanager
def running(command: str, settings: dict[str, str], log: Path) -> Iterator[None]:
    """``atp <command>`` until the block ends; it must end in order, and leave nothing open."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")} | settings
    argv = [sys.executable, "-W", "always::ResourceWarning", "-m", "atp", command]
    with log.open("wb") as output, subprocess.Popen(argv, cwd=ROOT, env=environment, stderr=output) as process:
        try:
            yield
            process.terminate()
            code = process.wait(20)
        except BaseException as failure:
            failure.add_note(f"atp {command} wrote:\n{log.read_text()}")
            raise
        finally:
            process.kill()
    written = log.read_text()
    assert code == 0, written
    assert "ResourceWarning" not in written
    assert "Traceback" not in written


async def test_holds_end_in_time_while_only_drain_runs(settings: dict[str, str], tmp_path: Path) -> None:
    ledger = Ledger(patient_ledger(settings["ATP_REDIS_URL"], settings["ATP_NAMESPACE"]))
    await ledger.open({})
    lines = [ReserveLine("1", "A", 2)]
    held = await ledger.submit(Reserve(reservation_id("s", "k", "A"), 1, "s", "web", "", "", "", "", 1, lines))
    await ledger.close()  # nobody asks, from now on
    assert held.reservation is not None
    journal = Journal(patient_journal(settings["ATP_DATABASE_URL"], settings["ATP_NAMESPACE"]))
    await journal.open()

    async def expired() -> bool:
        return any(isinstance(entry, Expired) for entry in await journal.entries_after(0, held.seq, 100))

    try:
        with running("drain", settings, tmp_path / "drain.log"):
            # A machine on which drain starts for ten seconds had an outage, and holds have half a minute more (R22).
            await wait_until_async(expired, 90, "the hold ends and its entry is journaled")
    finally:
        await journal.close()


@pytest.mark.parametrize(
    ("command", "sample"),
    [("drain", 'atp_journaled_entries_total{partition="0"} '), ("ingest", "atp_queue_fill 0.0")],
)
async def test_metrics_are_served_where_asked(
    settings: dict[str, str], tmp_path: Path, command: str, sample: str
) -> None:
    port = free_port()
    settings = settings | {"ATP_METRICS_PORT": str(port)}
    with running(command, settings, tmp_path / "log"):
        await wait_until_async(lambda: sample in metrics(port), 30, f"{sample} at port {port}")
    assert metrics(port) == ""


def test_a_port_that_is_taken_is_named() -> None:
    config = Config(metrics_port=free_port())
    with (
        metrics_served(config),
        pytest.raises(Refused, match=f"ATP_METRICS_PORT: 127.0.0.1:{config.metrics_port} cannot be used"),
        metrics_served(config),
    ):
        pass
    assert metrics(config.metrics_port) == ""


def test_without_a_port_nothing_is_served() -> None:
    with metrics_served(Config()):
        pass


def metrics(port: int) -> str:
    """What Prometheus would read there; nothing while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.URLError:
        return ""
