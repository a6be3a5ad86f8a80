"""Bugs to plant in the Lua library, one file per part of the law: each is (name, text, replacement)."""

import importlib
from pathlib import Path


def every() -> list[tuple[str, str, str, str]]:
    """All of them, behind the name of their file."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return [(name, *bug) for name in names for bug in importlib.import_module(f"{__name__}.{name}").MUTANTS]
