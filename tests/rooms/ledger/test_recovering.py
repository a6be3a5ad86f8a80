"""A process beside a ledger that is not the one it knows: it says what it has seen, and waits (R2)."""

import pytest

from atp.ledger import Ledger, LedgerRecovering, LedgerSettings
from atp.ledger.connection import connect
from tests.rooms.ledger.conftest import Opening
from tests.rooms.ledger.made import level, reserve
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio


async def test_what_was_seen_is_told(open_ledger: Opening, valkey: str, namespace: str) -> None:
    ledger = await open_ledger(LedgerSettings(valkey, namespace, process="p1"))
    await ledger.apply([level("A", 10)])
    connection = await connect(valkey)
    await connection.ask("DEL", f"{{{namespace}:0}}:meta")
    with pytest.raises(LedgerRecovering):
        await ledger.submit(reserve("r"))
    assert ledger.recovering == [0]
    told = await connection.ask("HGETALL", f"{{{namespace}:0}}:witness")
    assert told == [b"p1", b"1 %d" % ledger.position(0)]
    await connection.end()


async def test_a_ledger_behind_the_journal_is_noticed_by_whoever_hears_of_it(ledger: Ledger) -> None:
    await ledger.apply([level("A", 10)])
    ledger.witness({0: 500})
    with pytest.raises(LedgerRecovering, match="BEHIND"):
        await ledger.submit(reserve("r"))
    assert ledger.recovering == [0]


@pytest.mark.parametrize("seen", [None, {0: 500}])
async def test_one_that_is_to_be_rebuilt_can_be_waited_for(
    valkey: str, namespace: str, seen: dict[int, int] | None
) -> None:
    waiting = Ledger(LedgerSettings(valkey, namespace, process="p2"))
    await waiting.open(seen, join=True)
    with pytest.raises(LedgerRecovering):
        await waiting.submit(reserve("r"))
    other = Ledger(LedgerSettings(valkey, namespace))
    await other.open({})
    await wait_until_async(lambda: (not waiting.recovering) == (seen is None), description="to serve what fits")
    connection = await connect(valkey)
    if seen:
        await wait_until_async(lambda: connection.ask("HGET", f"{{{namespace}:0}}:witness", "p2"))
    await connection.end()
    await waiting.close()
    await other.close()
