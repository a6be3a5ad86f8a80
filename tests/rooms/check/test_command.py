"""``atp check``: what it prints, and how it ends."""

import msgspec
import pytest

from atp.cli.check import _check
from atp.config import Config
from tests.rooms.check.room import Room, level, reserve

pytestmark = pytest.mark.anyio


async def test_it_tells_what_differs_and_fails_until_it_is_repaired(
    room: Room, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(redis_url=room.url, database_url=database, namespace=room.namespace)
    await room.apply(level("A", 10), reserve("a1", "A", 4))
    assert await _check(config, False, 1.0, 0, False) == 0
    assert "0 differences" in capsys.readouterr().out

    await room.spoil("pos", "A\0DC1", lambda record: record.__setitem__(1, 1))
    assert await _check(config, False, 1.0, 0, False) == 1
    told = capsys.readouterr()
    assert "A DC1: held is 1, its records say 4, as of 0:" in told.out
    assert "atp exceptions list --kind drift" in told.err
    await room.drained()
    (raised,) = await room.journal.exceptions("drift", open=True)
    assert (raised.sku, raised.location) == ("A", "DC1")
    assert "held is 1, its records say 4" in raised.detail

    assert await _check(config, True, 1.0, 0, True) == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert (told["found"], told["repaired"]) == (1, 1)
    assert (await room.balance("A")).held == 4
    await room.drained()
    (over,) = await room.journal.exceptions("drift")
    assert (over.id, over.resolution, over.resolved_by) == (raised.id, "repaired", "check")
    audit = await room.journal.by_client("check", limit=10)
    assert {(type(x.entry).__name__, x.entry.cause) for x in audit} == {
        ("Repaired", f"check={told['id']}"), ("ExceptionResolved", f"check={told['id']}")
    }  # fmt: skip
