"""C7: what the journal's entries bring about is what the ledger keeps."""

from collections.abc import Iterable, Iterator
from copy import deepcopy

from atp.domain import replay
from atp.domain.entries import AnyEntry
from atp.domain.state import State
from tests.scenarios.replaying import kept

from .violation import Violation


def check_rebuilt(entries: Iterable[AnyEntry], live: State) -> Iterator[Violation]:
    """Replay all entries, from the first on, and compare with the state of a ledger at rest."""
    live, replayed = deepcopy(live), State()
    replay.replay(replayed, entries)
    replayed.trimmed = live.trimmed
    for state in (live, replayed):  # what ended long ago goes when somebody looks
        replay.settle(state, live.last_now)
    found, expected = kept(replayed, live.last_now), kept(live, live.last_now)
    for name in expected:
        if found[name] != expected[name]:
            yield Violation("C7", "wrong", f"{name}: {_difference(found[name], expected[name])}")


def _difference(found: object, expected: object) -> str:
    if isinstance(found, dict) and isinstance(expected, dict):
        key = next(key for key in {**found, **expected} if found.get(key) != expected.get(key))
        return f"{key} replayed {found.get(key)}, live {expected.get(key)}"
    return f"replayed {found}, live {expected}"
