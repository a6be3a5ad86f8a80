"""What the service needs of its servers and no more: the ACL line of docs/reference/security.md, tried out."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from atp.journal import Journal
from atp.ledger import Ledger
from atp.ledger.connection import Connection, ServerRefused
from atp.outbox import Drainer
from tests.rooms.api.conftest import served
from tests.rooms.api.test_exception_routes import journal, journal_all
from tests.support import connected, patient_ledger

__all__ = ["journal"]

pytestmark = pytest.mark.anyio

DOCUMENT = (Path(__file__).parents[4] / "docs/reference/security.md").read_text()


def rules(user: str) -> list[str]:
    """What the document gives a user, in words of ACL SETUSER."""
    line = re.search(rf"^    user {user} (.*(?:\n {{8}}.*)*)$", DOCUMENT, re.MULTILINE)
    assert line, user
    return line[1].split()


@pytest.fixture
async def admin(valkey: str) -> AsyncIterator[Connection]:
    connection = await connected(valkey)
    yield connection
    await connection.end()


async def url_of(admin: Connection, valkey: str, namespace: str, user: str) -> str:
    """The server's URL for a user with the document's rules, for this namespace."""
    name, secret = f"{user}-{namespace}", "s3cret"
    words = [word.replace("{atp:", f"{{{namespace}:") for word in rules(user) if not word.startswith(">")]
    await admin.ask("ACL", "SETUSER", name, "reset", "on", f">{secret}", *words)
    parts = urlsplit(valkey)
    return f"redis://{name}:{secret}@{parts.hostname}:{parts.port}{parts.path}"


async def test_the_service_works_with_its_commands_and_keys_alone(
    admin: Connection, valkey: str, namespace: str, journal: Journal
) -> None:
    url = await url_of(admin, valkey, namespace, "atp")
    deployer = Ledger(patient_ledger(valkey, namespace))  # brings the library, which the service may not
    await deployer.open({})
    await deployer.close()
    await admin.ask("ACL", "LOG", "RESET")
    async with served(url, namespace, journal=journal) as api:
        await api.stock("A", 9)
        held = (await api.reserve("A", 2, body={"customer": "c", "order_ref": "X"})).json()
        for action in ("confirm", "fulfil"):
            assert (await api.send("POST", f"/v1/reservations/{held['id']}/{action}")).status_code == 200
        assert (await api.reserve("A", 50)).status_code == 409
        assert (await api.reserve("A", 1, body={"ttl_seconds": 1})).status_code == 201
        sale = {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2036-01-01T00:00:00Z", "skus": {"A": {"quantity": 1}}}
        await api.send("PUT", "/v1/campaigns/bf", key=api.admin, json=sale)
        await api.send("PUT", "/v1/locations/DC1", key=api.admin, json={"kind": "store", "active": False})
        assert (await api.send("DELETE", "/v1/locations/DC1", key=api.admin)).status_code == 409
        assert (await api.send("GET", "/v1/availability/A?explain=true")).status_code == 200
        assert (await api.send("GET", "/v1/locations", key=api.admin)).status_code == 200
        await journal_all(api, journal)
    log = await admin.ask("ACL", "LOG")
    denied = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in log]
    assert [entry[b"object"] for entry in denied if entry[b"username"] == f"atp-{namespace}".encode()] == []


@pytest.mark.parametrize(
    "words",
    [
        ("EVAL", "return 1", "0"), ("SCRIPT", "LOAD", "return 1"), ("FUNCTION", "LOAD", "REPLACE", "x"), ("KEYS", "*"),
        ("CONFIG", "SET", "appendfsync", "no"), ("FLUSHALL",), ("SHUTDOWN",),
        ("ACL", "WHOAMI"), ("REPLICAOF", "NO", "ONE"), ("MODULE", "LIST"), ("MONITOR",),
        ("HGET", "{other:0}:meta", "seq"), ("HSET", "other", "a", "b"), ("GET", "x"), ("CLIENT", "KILL", "x"),
    ],
    ids=" ".join,
)  # fmt: skip
async def test_all_else_is_denied(admin: Connection, valkey: str, namespace: str, words: tuple[str, ...]) -> None:
    connection = await connected(await url_of(admin, valkey, namespace, "atp"))
    try:
        with pytest.raises(ServerRefused, match="NOPERM"):
            await connection.ask(*words)
    finally:
        await connection.end()


async def test_the_drainer_may_make_a_baseline(
    admin: Connection, valkey: str, namespace: str, journal: Journal
) -> None:
    """It copies the partition in one step, for which it lists its keys; its user alone may."""
    assert {"+keys", "+copy"} == {*rules("atp-drain")} - {*rules("atp")}
    assert Drainer  # the room that uses it
    deployer = Ledger(patient_ledger(valkey, namespace))
    await deployer.open({})
    await deployer.close()
    ledger = Ledger(patient_ledger(await url_of(admin, valkey, namespace, "atp-drain"), namespace))
    await ledger.open({})
    try:
        assert await ledger._readers[0].call("freeze")
    finally:
        await ledger.close()
