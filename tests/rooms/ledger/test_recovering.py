"""A process beside a ledger that is not the one it knows: it says what it has seen, and waits (R2)."""

import pytest

from atp.domain.entries import ExceptionRaised
from atp.domain.outcomes import Outcome
from atp.ledger import Ledger, LedgerRecovering, library
from tests.rooms.ledger.conftest import Opening
from tests.rooms.ledger.made import level, reserve
from tests.support import connected, patient_ledger, wait_until_async

pytestmark = pytest.mark.anyio


async def test_what_was_seen_is_told(open_ledger: Opening, valkey: str, namespace: str) -> None:
    ledger = await open_ledger(patient_ledger(valkey, namespace, process="p1"))
    await ledger.apply([level("A", 10)])
    connection = await connected(valkey)
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
    waiting = Ledger(patient_ledger(valkey, namespace, process="p2"))
    await waiting.open(seen, join=True)
    with pytest.raises(LedgerRecovering):
        await waiting.submit(reserve("r"))
    other = Ledger(patient_ledger(valkey, namespace))
    await other.open({})
    await wait_until_async(lambda: (not waiting.recovering) == (seen is None), description="to serve what fits")
    connection = await connected(valkey)
    if seen:
        await wait_until_async(lambda: connection.ask("HGET", f"{{{namespace}:0}}:witness", "p2"))
    await connection.end()
    await waiting.close()
    await other.close()


async def test_an_epoch_that_lacks_what_a_process_saw_sells_nothing(
    open_ledger: Opening, ledger: Ledger, valkey: str, namespace: str
) -> None:
    """A replica that copied late was promoted while nobody who had seen more was there to say so (R2)."""
    saw_all = await open_ledger(patient_ledger(valkey, namespace, process="p1"))
    saw_less = await open_ledger(patient_ledger(valkey, namespace, process="p2"))
    await saw_all.apply([level("A", 10), level("B", 10, version=2)])
    await saw_all.submit(reserve("before"))
    seq, meta = saw_all.position(0), f"{{{namespace}:0}}:meta"
    connection = await connected(valkey)
    await connection.ask("HSET", meta, "seq", seq - 1)
    assert await connection.ask("FCALL", library.function("promote"), 1, meta, 1, seq + 2**20, "id") == 1
    await wait_until_async(lambda: goes_on(saw_less, "1"), description="the other one knows of no loss")
    await wait_until_async(lambda: goes_on(saw_all, "2", Outcome.RECOVERING), description="this one tells of it")
    assert (await saw_less.submit(reserve("3"))).outcome is Outcome.RECOVERING
    assert await connection.ask("HGET", f"{{{namespace}:0}}:exception", "loss\x1f\x1f\x1f\x1f")
    entry = (await saw_less.read_entries(0, seq + 2**20, 100))[-1]
    assert isinstance(entry, ExceptionRaised)
    assert entry.detail == f"entries {seq} to {seq} are gone: a process has seen them"
    await connection.end()


async def goes_on(ledger: Ledger, key: str, outcome: Outcome = Outcome.APPLIED) -> bool:
    try:
        return (await ledger.submit(reserve(key))).outcome is outcome
    except LedgerRecovering:
        return False
