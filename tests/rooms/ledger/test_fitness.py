"""A server that would break a promise is refused before anything is written, with what was found and what mends it."""

import pytest
from structlog.testing import capture_logs

from atp.dev.valkey import Valkey
from atp.domain.outcomes import Outcome
from atp.ledger import Ledger, LedgerSettings, LedgerUnfit, library
from atp.ledger.fitness import ALWAYS, WITH_REPLICA, Durability, judge_role, judge_setting, judge_version
from tests.support import connected

from .conftest import Opening
from .made import level

pytestmark = pytest.mark.anyio

SETTINGS = {setting.name: setting for setting in (*ALWAYS, *WITH_REPLICA)}


@pytest.mark.parametrize(
    ("setting", "value", "needed", "durability"),
    [
        ("appendonly", "no", "yes", "fsync"),
        ("appendfsync", "everysec", "always", "fsync"),
        ("no-appendfsync-on-rewrite", "yes", "no", "fsync"),
        ("maxmemory-policy", "allkeys-lru", "noeviction", "fsync"),
        ("appendfsync", "no", "always", "journal"),
        ("min-replicas-to-write", "0", "1", "replica"),
        ("min-replicas-max-lag", "10", "2", "replica"),
    ],
)
async def test_settings_that_would_break_a_promise_are_refused(
    own_valkey: Valkey, setting: str, value: str, needed: str, durability: Durability
) -> None:
    connection = await connected(own_valkey.url)
    await connection.ask("CONFIG", "SET", setting, value)
    with pytest.raises(LedgerUnfit) as refused:
        await Ledger(LedgerSettings(own_valkey.url, durability=durability)).open({})
    assert f"{setting} is {value}, must be {needed}: " in str(refused.value)
    assert f"fix: CONFIG SET {setting} {needed}" in str(refused.value)
    assert await connection.ask("DBSIZE") == 0
    await connection.end()


@pytest.mark.parametrize(
    ("name", "found", "fit"),
    [
        ("aof-load-corrupt-tail-max-size", None, True),
        ("aof-load-corrupt-tail-max-size", "0", True),
        ("aof-load-corrupt-tail-max-size", "4096", False),
        ("min-replicas-max-lag", "1", True),
        ("min-replicas-max-lag", "0", False),  # switches the check off
        ("appendonly", None, False),
    ],
)
def test_a_setting_is_judged_by_its_value(name: str, found: str | None, fit: bool) -> None:
    assert (judge_setting(SETTINGS[name], found) == []) is fit


@pytest.mark.parametrize(
    ("info", "unproven", "finding"),
    [
        ("valkey_version:9.1.2", False, ""),
        ("valkey_version:9.2.0", False, ""),
        ("valkey_version:10.0.0", False, ""),
        ("valkey_version:8.1.10", False, ""),
        ("valkey_version:9.1.1", False, "Valkey 9.1.1 can lose"),
        ("valkey_version:8.1.9", False, "Valkey 8.1.9 can lose"),
        ("valkey_version:8.0.12", False, "Valkey 8.0.12 can lose"),
        ("valkey_version:7.2.5", True, "Valkey 7.2.5 can lose"),  # known to have the bug: no setting helps
        ("redis_version:8.4.0", False, "Redis 8.4.0, must be Valkey"),
        ("redis_version:8.4.0", True, ""),
        ("server_name:other", False, "no Valkey, must be"),
    ],
)
def test_a_version_is_judged_by_whether_the_bug_is_known_to_be_gone(info: str, unproven: bool, finding: str) -> None:
    found = judge_version(f"# Server\r\n{info}\r\nos:Linux\r\n", unproven=unproven)
    assert bool(found) is bool(finding)
    assert finding in "".join(found)


def test_a_replica_is_no_ledger_and_its_primary_is_named() -> None:
    assert judge_role("role:master\r\n") == []
    (finding,) = judge_role("role:slave\r\nmaster_host:10.0.0.7\r\nmaster_port:6379\r\n")
    assert "role is replica of 10.0.0.7:6379, must be primary" in finding
    assert "atp promote" in finding


async def test_a_library_of_our_name_with_other_code_is_replaced(
    open_ledger: Opening, valkey: str, namespace: str
) -> None:
    name, source = library.source()
    connection = await connected(valkey)
    forged = source.replace("-- The ledger:", "-- A ledger:")
    await connection.ask("FUNCTION", "LOAD", "REPLACE", forged)
    with capture_logs() as logs:
        ledger = await open_ledger(LedgerSettings(valkey, namespace))
    assert [line["library"] for line in logs if "other code" in line["event"]] == [name]
    (listed,) = await connection.ask("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE")
    assert source.encode() in listed
    assert (await ledger.apply([level("A", 1)]))[0].outcome is Outcome.APPLIED
    await connection.end()
