"""C3: each acknowledged operation is in the journal once, each refused one is not, an unknown one at most once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from atp.domain.entries import AnyEntry, Committed, DeltaApplied, Extended, Fulfilled, Held, LedgerOpened, Released
from tests.faults.history import Op

from .violation import Violation

#: The entries that operations of buyers leave, and of what kind of operation each speaks.
Changed = Held | Committed | Released | Extended | Fulfilled
_KINDS: dict[type, str] = {
    Held: "reserve",
    Committed: "confirm",
    Released: "release",
    Extended: "extend",
    Fulfilled: "fulfil",
}


def check_operations(ops: Iterable[Op], entries: Iterable[AnyEntry]) -> Iterator[Violation]:
    """Of reservations: the entry of each operation, by reservation and kind."""
    found = Counter((entry.reservation.id, _KINDS[type(entry)]) for entry in entries if isinstance(entry, Changed))
    acknowledged, unknown = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    refused: set[tuple[str, str]] = set()
    for op in ops:
        if op.id:
            slot = (op.id, op.kind)
            acknowledged[slot] += op.outcome == "ok"
            unknown[slot] += op.outcome == "unknown"
            if op.outcome == "refused":
                refused.add(slot)
    for slot in acknowledged.keys() | unknown.keys() | found.keys():
        times, sure, most = found[slot], acknowledged[slot], acknowledged[slot] + unknown[slot]
        name = f"{slot[1]} of {slot[0]}"
        if times < sure:
            yield Violation("C3", "lost", f"{name} was acknowledged and is not in the journal")
        elif times > most and slot in refused:
            yield Violation("C3", "wrong", f"{name} was refused and is in the journal")
        elif times > most:
            yield Violation("C3", "doubled", f"{name}: {times} entries for {most} operations")


def check_deltas(ops: Iterable[Op], entries: Iterable[AnyEntry], source: str) -> Iterator[Violation]:
    """Of a source that sends deltas alone behind its first level: each settled one has its entry, once."""
    versions = [entry.version for entry in entries if isinstance(entry, DeltaApplied) and entry.source == source]
    found = Counter((high << 32) + low for _, high, low in versions)
    for op in ops:
        name, _, sequence = op.key.rpartition("-")
        if op.kind == "delta" and name == source:
            times = found.pop(int(sequence), 0)
            if times == 0 and op.outcome == "ok":
                yield Violation("C3", "lost", f"{op.key} was settled and is not in the journal")
            if times > 1:
                yield Violation("C3", "doubled", f"{op.key} was applied {times} times")
    for sequence in found:
        yield Violation("C3", "wrong", f"the journal has a delta {source}-{sequence} that nobody sent")


def check_sequence(entries: Sequence[AnyEntry], head: int) -> Iterator[Violation]:
    """The journal has every seq once, up to the ledger's head; only what opens an epoch may stand further on (R2)."""
    before = 0
    for entry in entries:
        if entry.seq <= before:
            yield Violation("C3", "doubled", f"entry {entry.seq} stands behind {before}")
        elif entry.seq != before + 1 and not isinstance(entry, LedgerOpened):
            yield Violation("C3", "lost", f"entries {before + 1} to {entry.seq - 1} are missing")
        before = entry.seq
    if before != head:
        yield Violation("C3", "lost", f"the ledger ends at {head}, the journal at {before}")


def check_events(entries: Iterable[AnyEntry], ids: Iterable[str]) -> Iterator[Violation]:
    """Each change of a reservation's units was published once: ``ids`` are the ce-ids of those events."""
    wanted = {f"0:{entry.seq}" for entry in entries if isinstance(entry, Held | Committed | Released | Fulfilled)}
    found = Counter(ids)
    for id, times in found.items():
        if times > 1:
            yield Violation("C3", "doubled", f"event {id} was published {times} times")
    for id in wanted - found.keys():
        yield Violation("C3", "lost", f"event {id} was not published")
