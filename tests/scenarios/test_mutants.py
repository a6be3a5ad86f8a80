"""Would the scenarios notice? Bugs planted in the Lua library, one at a time, each to be told from the rules.

A mutant is (topic, name, text, replacement). It runs the scenario tables of its topic, random batches of
``test_random`` with plain seeds, and then every other table, and must differ somewhere. A mutant whose text is gone
fails, so that the list follows the code; one that no input can tell from the original does not belong here.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

import pytest

from atp.ledger.connection import ServerRefused
from tests.scenarios import altered, every, planted

#: Seeds of random lives before all tables, which are slower, and after them.
FIRST, THEN = range(4), range(4, 30)
BATCHES = 25

MUTANTS = planted.every()

#: One bug in this many is planted in a short run, which ones is fixed; all are with ``-m soak``.
ONE_IN = 12


def test_the_original_passes_what_mutants_must_not(valkey: str, loop: asyncio.AbstractEventLoop) -> None:
    difference = find_difference(valkey, loop)
    assert difference is None, difference


def test_every_planted_bug_finds_its_place() -> None:
    """The list follows the code, also for those that a short run leaves out; and no two are one."""
    for _, _, text, replacement in MUTANTS:
        altered.planted((text, replacement))
    assert len({name for _, name, _, _ in MUTANTS}) == len(MUTANTS) > 200


def _cases() -> list[Any]:
    short = [crc32(name.encode()) % ONE_IN == 0 for _, name, _, _ in MUTANTS]
    return [
        pytest.param(topic, text, replacement, id=name, marks=() if often else pytest.mark.soak)
        for (topic, name, text, replacement), often in zip(MUTANTS, short, strict=True)
    ]


@pytest.mark.parametrize(("topic", "text", "replacement"), _cases())
def test_a_planted_bug_is_found(
    valkey: str, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch,
    topic: str, text: str, replacement: str,
) -> None:  # fmt: skip
    altered.use(monkeypatch, (text, replacement))
    assert find_difference(valkey, loop, topic), f"nothing tells the library from one with {replacement!r} for {text!r}"


def find_difference(url: str, loop: asyncio.AbstractEventLoop, topic: str = "") -> str | None:
    """Where the loaded library first differs from the rules, or None after all that is tried."""
    for name, attempt in attempts(url, loop, topic):
        try:
            attempt()
        except (AssertionError, ServerRefused) as problem:  # it decides otherwise, or fails
            return f"{name}: {str(problem)[:500]}"
    return None


def attempts(url: str, loop: asyncio.AbstractEventLoop, topic: str = "") -> Iterator[tuple[str, Callable[[], None]]]:
    """All that is tried, in order: what the topic's own file says finds most of its bugs at once."""
    own = {name: scenario for name, scenario in every.scenarios().items() if name.startswith(f"test_{topic}:")}
    for name, scenario in own.items():
        yield name, lambda scenario=scenario: every.play(scenario, url, loop)
    for seed in FIRST:
        yield f"seed {seed}", lambda seed=seed: every.live(every.machine(url, loop), seed, BATCHES)
    for name, scenario in every.scenarios().items():
        if name not in own:
            yield name, lambda scenario=scenario: every.play(scenario, url, loop)
    for seed in THEN:
        yield f"seed {seed}", lambda seed=seed: every.live(every.machine(url, loop), seed, BATCHES)
