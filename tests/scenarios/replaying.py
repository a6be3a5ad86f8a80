"""A state that only ever sees entries, held against the one of the law that wrote them (R35, C7)."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from msgspec import json

from atp.domain import replay
from atp.domain.entries import AnyEntry
from atp.domain.records import TOMBSTONE_MS
from atp.domain.rules.retention import RETIRE_MAX
from atp.domain.state import State
from tests.scenarios.plain import plain

_journaled = json.Decoder(list[AnyEntry])


class Replayed:
    """What a rebuild would arrive at."""

    def __init__(self, begin: State) -> None:
        self.state = deepcopy(begin)

    def follow(self, entries: Sequence[AnyEntry], now: int, trimmed: int) -> None:
        """Take one batch at ``now``; as in a batch, what ended long ago is cut down before all else.

        The entries are read as the journal keeps them; those that speak of what is not there fail the test.
        """
        self.state.trimmed = trimmed
        replay.settle(self.state, now, RETIRE_MAX)
        try:
            replay.replay(self.state, _journaled.decode(json.encode(entries)))
        except (LookupError, AttributeError, StopIteration) as problem:
            raise AssertionError(f"not what happened: {problem!r}") from problem

    def check(self, live: State) -> None:
        """Everything that is state is as in the live one."""
        found, expected = kept(self.state, live.last_now), kept(live, live.last_now)
        assert found == expected, _differences(found, expected)


def kept(state: State, now: int) -> dict[str, Any]:
    """What entries must bring back; ``atp.domain.replay`` says what they need not, and why."""
    found = plain(state)
    for gauge in ("refused", "silence"):
        del found[gauge]
    found["apart"] = state.apart_at
    found["sources"] = {name: (x[0], x[1], *x[4:6], x[7]) for name, x in found["sources"].items()}
    found["moved"] = [m for m in state.moved if any(m[0] < at <= m[1] for at in state.due.values())]
    found["adjusted"] = [item for item in found["adjusted"] if item[1][2] + TOMBSTONE_MS > now]
    return found


def _differences(found: dict[str, Any], expected: dict[str, Any]) -> str:
    told = []
    for name in [name for name in expected if found[name] != expected[name]]:
        new, old = found[name], expected[name]
        if isinstance(new, dict):
            keys = [key for key in {**new, **old} if new.get(key) != old.get(key)]
            told += [f"{name}[{key}]: replayed {new.get(key)}, live {old.get(key)}" for key in keys]
        else:
            told.append(f"{name}: replayed {new}, live {old}")
    return "\n".join(told)
