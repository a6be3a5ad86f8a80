"""Random commands, one file per kind: ``SHARE`` says how often, ``command`` makes one for a life as it stands.

A life is the machine of ``test_random``: its skus, ids and clock, and the reference state to aim at.
"""

import importlib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from atp.domain.commands import Command


@cache
def _kinds() -> tuple[list[Any], list[int]]:
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return modules, [module.SHARE for module in modules]


def command(life: Any, draw: Random) -> Command:
    """One command of any kind."""
    modules, shares = _kinds()
    return draw.choices(modules, shares)[0].command(life, draw)
