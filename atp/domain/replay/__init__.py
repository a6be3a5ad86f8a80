"""Replay: what every entry does to a state, without deciding anything again (R35).

``apply`` on the entries of one partition, in the order of their seq, arrives at the state that the law left when it
wrote them; tests compare the two after every batch of random lives and after every step of the scenario tables. A
rebuild, a baseline and a check need nothing else (R2, R20). Whoever adds a kind of entry adds its effect here.

Entries hold records and balances as they are afterwards, so those are taken over. What only sums records up (units
held by customers, sold by sellers, pegged to supply, included in a source's number) follows from the record before
and after.

Some things have no entry, because nothing that was acknowledged stands on them. A replayed state has:

- no remembered refusals: the request is decided again (R18);
- of a source no lag, no moment when it was heard, no count of older levels: its next event says so. When anybody must
  look for silence is "now", and a ledger that opens takes all sources as heard then (R12);
- ``last_now`` of its last entry, which is what shows the outage to the batch after the rebuild (R22);
- ``apart`` unset: the next batch's sender tells whether its clock agrees;
- a number as certain, although a delta came too late for it, if 10,000 exceptions were open at the time: the exception
  is what says so (R15);
- corrections by a person (``adjusted``) and outages (``moved``) that the live ledger may have forgotten already.

Replayed records are those of the entries themselves, not copies: whoever goes on changing one must copy them first.
"""

from collections.abc import Callable, Iterable
from typing import Any

from atp.domain.collecting import paused
from atp.domain.entries import AnyEntry
from atp.domain.journal_entries import EntriesMissing
from atp.domain.replay import (
    legs,
    orders,
    policies,
    repairs,
    reservations,
    shortages,
    snapshots,
    sources,
    stock,
    supply,
)
from atp.domain.rules.retention import cut_down
from atp.domain.state import State


class EntriesLost(Exception):
    """The journal has a hole here: what follows it needs a baseline that is made behind it (R20)."""


def _missing(_: State, entry: EntriesMissing) -> None:
    raise EntriesLost(f"entries {entry.after + 1} to {entry.seq} are missing")


_EFFECTS: dict[type, Callable[[State, Any], None]] = {
    **reservations.EFFECTS,
    **stock.EFFECTS,
    **supply.EFFECTS,
    **sources.EFFECTS,
    **policies.EFFECTS,
    **shortages.EFFECTS,
    **orders.EFFECTS,
    **legs.EFFECTS,
    **snapshots.EFFECTS,
    **repairs.EFFECTS,
    EntriesMissing: _missing,
}


def apply(state: State, entry: AnyEntry) -> None:
    """Put one entry's effects into the state; entries of a partition come in the order of their seq.

    Raises EntriesLost.
    """
    state.seq, state.last_now = entry.seq, entry.at
    _EFFECTS[type(entry)](state, entry)


def replay(state: State, entries: Iterable[AnyEntry]) -> None:
    """``apply`` for many, at about 3 µs each for levels and holds; raises EntriesLost."""
    with paused():
        for entry in entries:
            state.seq, state.last_now = entry.seq, entry.at
            _EFFECTS[type(entry)](state, entry)


def settle(state: State, now: int, most: int | None = None) -> None:
    """Cut down what retention would have cut by ``now`` (ms), as far as ``state.trimmed`` lets it (R18).

    ``most`` bounds the records and the tombstones, as it does in a batch; without it all that is due goes.
    """
    cut_down(state, now, len(state.ended) + len(state.buried) if most is None else most)
