"""All that the scenario files say, as functions of a table, and random lives of a ledger: for tests about the tests."""

import asyncio
import importlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from tests.scenarios.laws import LuaLaw
from tests.scenarios.table import Table
from tests.scenarios.test_random import LawsAgree

#: Files that use this one, and so hold no scenarios.
USERS = ("test_mutants", "test_failpoints")

PLACES = """
location DC1 {"kind":"warehouse"}
location DC2 {"kind":"warehouse"}
location S1 {"kind":"store","priority":5}
"""

Scenario = Callable[[Table], object]


@cache
def scenarios() -> dict[str, Scenario]:
    """Every table, and every test that takes only a table, of all files in this folder."""
    found: dict[str, Scenario] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.stem in USERS:
            continue
        module = importlib.import_module(f"tests.scenarios.{path.stem}")
        for name, text in getattr(module, "TABLES", {}).items():
            found[f"{path.stem}: {name}"] = lambda table, text=text: table.run(text)
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_") and list(inspect.signature(test).parameters) == ["table"]:
                found[f"{path.stem}: {name}"] = test
    assert found
    return found


def play(scenario: Scenario, url: str, loop: asyncio.AbstractEventLoop, law: type[LuaLaw] = LuaLaw) -> None:
    """One scenario on an empty ledger with the places that all of them know; its entries must tell all of it."""
    opened = law.open(loop, url, "every")
    try:
        scenario(Table(opened).run(PLACES))
        opened.check_replay()
    finally:
        opened.close()


def live(machine: LawsAgree, seed: int, batches: int) -> None:
    """A random life of one ledger, as Hypothesis would make it, without its bookkeeping and shrinking."""
    draw = Random(seed)
    try:
        machine.begin(partition=0)
        for _ in range(batches):
            if draw.random() < 0.1:
                machine.jump(step=draw.choice([-50_000, 6_000, 20_000, 61_000, 130_000, 700_000]))
            else:
                step = draw.choice([0, 1, 900, 4_000])
                machine.random_batch(seed=draw.getrandbits(32), size=draw.randrange(25), step=step)
    finally:
        machine.teardown()


def machine(url: str, loop: asyncio.AbstractEventLoop, kind: type[LawsAgree] = LawsAgree) -> LawsAgree:
    """Both laws on one server."""
    return type("Life", (kind,), {"url": url, "loop": loop, "partitions": 1})()
