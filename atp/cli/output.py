"""Output of commands that end by themselves."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any


def run_once(main: Coroutine[Any, Any, int | None]) -> int:
    """Run a command that ends by itself."""
    return asyncio.run(main) or 0


def printable(text: str) -> str:
    """Without what a terminal would obey: it was written by somebody else."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def shown_time(rfc3339: str) -> str:
    """A time of an answer, to the second and in UTC, short enough for a line."""
    return rfc3339[:19].replace("T", " ")


def note(text: str) -> None:
    """One line for people on stderr, apart from a command's output."""
    print(text, file=sys.stderr, flush=True)
