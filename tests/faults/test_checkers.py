"""The checkers, by themselves: each says nothing of what is right, and finds each wrong by its name."""

from collections.abc import Iterable

from atp.domain.entries import AnyEntry, Committed, DeltaApplied, Expired, Held, LedgerOpened
from atp.domain.records import Allocation, Balance, Line, Reservation

from . import strace
from .checkers import conservation, setfull
from .checkers.violation import Violation, count
from .history import Kind, Op, Outcome

PLACE = ("A", "east")
DEADLINE = 10_000


def record(id: str = "r1", held: int = 0, committed: int = 0, fulfilled: int = 0) -> Reservation:
    units = Allocation("east", "", held, committed, fulfilled=fulfilled)
    line = Line("1", "A", units.quantity, [units])
    return Reservation(id, 0, DEADLINE, 1, 1, 1, "c", "web", "", "", "", "", [line], [])


def balance(number: int, held: int = 0, committed: int = 0, shipped: int = 0) -> Balance:
    return Balance("A", "east", number, 0, 0, held, committed, shipped)


def held(seq: int, units: int, number: int = 9, id: str = "r1", total: int | None = None) -> Held:
    return Held(seq, 0, "c", "", record(id, units), [balance(number, units if total is None else total)])


def committed(seq: int, units: int, number: int = 9, id: str = "r1") -> Committed:
    return Committed(seq, 0, "c", "", record(id, committed=units), [balance(number, committed=units)])


def op(kind: Kind, outcome: Outcome, id: str = "r1", key: str = "k") -> Op:
    return Op(kind, key, {"A": 1}, id, outcome=outcome)


def sorts(violations: Iterable[Violation]) -> dict[str, int]:
    return dict(count(violations))


def test_each_acknowledged_operation_has_one_entry() -> None:
    entries: list[AnyEntry] = [held(1, 1), committed(2, 1)]
    assert not sorts(setfull.check_operations([op("reserve", "ok"), op("confirm", "ok")], entries))
    assert sorts(setfull.check_operations([op("reserve", "ok"), op("confirm", "ok")], entries[:1])) == {"lost": 1}
    assert sorts(setfull.check_operations([op("reserve", "ok")], [held(1, 1), held(2, 1)])) == {"doubled": 1}


def test_an_unknown_operation_may_have_one_entry_and_a_refused_one_none() -> None:
    assert not sorts(setfull.check_operations([op("reserve", "unknown")], [held(1, 1)]))
    assert not sorts(setfull.check_operations([op("reserve", "unknown")], []))
    assert sorts(setfull.check_operations([op("reserve", "unknown")], [held(1, 1), held(2, 1)])) == {"doubled": 1}
    assert sorts(setfull.check_operations([op("reserve", "refused")], [held(1, 1)])) == {"wrong": 1}


def test_what_nobody_asked_for_is_found() -> None:
    assert sorts(setfull.check_operations([], [held(1, 1)])) == {"doubled": 1}


def test_a_journal_ends_where_the_ledger_does_and_has_no_gap() -> None:
    assert not sorts(setfull.check_sequence([held(1, 1), committed(2, 1)], 2))
    assert sorts(setfull.check_sequence([held(1, 1), committed(3, 1)], 3)) == {"lost": 1}
    assert sorts(setfull.check_sequence([held(1, 1), held(1, 1)], 1)) == {"doubled": 1}
    assert sorts(setfull.check_sequence([held(1, 1)], 2)) == {"lost": 1}
    assert not sorts(setfull.check_sequence([held(1, 1), LedgerOpened(9, 0, "", "", 2, 1, 1)], 9))


def test_each_delta_counts_once() -> None:
    def applied(seq: int, sequence: int) -> DeltaApplied:
        return DeltaApplied(seq, 0, "", "", "A", "east", "till", 1, 1, (1, 0, sequence), "", 0, 0, 0, [])

    told = [op("delta", "ok", "", "till-2"), op("delta", "unknown", "", "till-3")]
    assert not sorts(setfull.check_deltas(told, [applied(1, 2)], "till"))
    assert sorts(setfull.check_deltas(told, [], "till")) == {"lost": 1}
    assert sorts(setfull.check_deltas(told, [applied(1, 2), applied(2, 2)], "till")) == {"doubled": 1}
    assert sorts(setfull.check_deltas(told, [applied(1, 2), applied(2, 7)], "till")) == {"wrong": 1}


def test_each_event_is_published_once() -> None:
    assert not sorts(setfull.check_events([held(1, 1)], ["0:1"]))
    assert sorts(setfull.check_events([held(1, 1)], [])) == {"lost": 1}
    assert sorts(setfull.check_events([held(1, 1)], ["0:1", "0:1"])) == {"doubled": 1}


def test_no_entry_promises_more_than_is_there() -> None:
    assert not sorts(conservation.check_balances([held(1, 9)]))
    assert sorts(conservation.check_balances([held(1, 10)])) == {"oversold": 1}
    assert sorts(conservation.check_balances([held(1, 1, total=-1)])) == {"wrong": 1}


def test_counts_reservations_and_answers_agree_in_the_end() -> None:
    entries = [held(1, 2)]
    assert not sorts(conservation.check_totals(entries, {PLACE: 9}, {PLACE: (7, 2, 0)}))
    assert sorts(conservation.check_totals(entries, {PLACE: 8}, {PLACE: (6, 2, 0)})) == {"wrong": 1}
    assert sorts(conservation.check_totals(entries, {PLACE: 9}, {PLACE: (6, 2, 0)})) == {"wrong": 1}
    assert sorts(conservation.check_totals([held(1, 2, total=3)], {PLACE: 9}, {PLACE: (7, 2, 0)})) == {"wrong": 1}


def test_shipped_units_are_gone_from_the_count() -> None:
    shipped = Committed(1, 0, "c", "", record(fulfilled=2), [balance(9, shipped=2)])
    assert not sorts(conservation.check_totals([shipped], {PLACE: 9}, {PLACE: (7, 0, 0)}))


def test_a_hold_for_nobody_is_stranded_and_none_ends_early() -> None:
    assert sorts(conservation.check_holds([held(1, 1)], set())) == {"stranded": 1}
    assert not sorts(conservation.check_holds([held(1, 1)], {"r1"}))
    assert not sorts(conservation.check_holds([held(1, 1), Expired(2, DEADLINE + 2_000, "", "", record(), [])], set()))
    early = Expired(2, DEADLINE + 1_000, "", "", record(), [])
    assert sorts(conservation.check_holds([held(1, 1), early], set())) == {"wrong": 1}


TRACE = """\
12 write(7</d/a.1.incr.aof>, ""..., 90) = 90
12 fdatasync(7</d/a.1.incr.aof>) = 0
12 write(9<socket:[77]>, ""..., 20) = 20
12 write(7</d/a.1.incr.aof>, ""..., 10) = 10
13 fdatasync(7</d/a.1.incr.aof> <unfinished ...>
12 write(7</d/a.1.incr.aof>, ""..., 5) = 5
13 <... fdatasync resumed>) = 0
12 write(7</d/other>, ""..., 5) = 5
"""


def test_a_trace_tells_what_is_on_disk() -> None:
    assert strace.durable(strace.steps(TRACE.splitlines(), "a.1.incr.aof")) == (105, 100)
    assert strace.early_answers(strace.steps(TRACE.splitlines(), "a.1.incr.aof")) == 0


def test_a_trace_tells_of_answers_that_left_too_early() -> None:
    late = TRACE + '12 write(9<socket:[77]>, ""..., 20) = 20\n'
    assert strace.early_answers(strace.steps(late.splitlines(), "a.1.incr.aof")) == 1
