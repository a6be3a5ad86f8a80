"""Output of commands that end by themselves."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from msgspec import structs

from atp.config import Config


def run_once(config: Config, main: Coroutine[Any, Any, int | None], log_level: str = "warning") -> int:
    """Run a command that ends by itself. Its logs go to stderr: what is printed may be read by a program."""
    from atp.cli.logs import configure  # slow to load

    configure(structs.replace(config, log_level=log_level))
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


@contextmanager
def watched(
    text: str, total: float | None, figures: str = "", *, quiet: bool, in_bytes: bool = False, **fields: Any
) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr where somebody looks at it; what is given moves it, by rich's names for a task's fields.

    ``figures`` is the format of what stands behind the bar, made of ``fields``; without a ``total`` the bar only shows
    life. Without a terminal nothing is shown.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda **_: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    amount = DownloadColumn() if in_bytes else TaskProgressColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TextColumn(figures), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield partial(bar.update, bar.add_task(text, total=total, **fields))
