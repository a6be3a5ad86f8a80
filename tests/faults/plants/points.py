"""Named points of the code at which a process dies, as by kill -9, when the harness asks for it.

``plant`` wraps what stands there; a passage costs a look for a file. Making the file arms the point, and whoever
passes it next takes the file away, leaves its process id and dies.
"""

import importlib
import inspect
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct


class Point(Struct, frozen=True):
    """Where: ``before`` or behind a call of ``target`` (module:name). ``process`` is who passes it, "" for anybody."""

    name: str
    process: str
    target: str
    before: bool = True


_BATCHER, _RESTORING = "atp.ledger.batcher:Batcher", "atp.ledger.restoring:Restoring"

POINTS = [
    Point("before a batch is sent to the ledger", "api", f"{_BATCHER}._call"),
    Point("with the ledger's answers in hand", "api", f"{_BATCHER}._resolve"),
    Point("before events are applied", "ingest", "atp.ingest.applying:Applier.apply"),
    Point("between ledger and cursor", "ingest", "atp.ingest.session:Session._settle", before=False),
    Point("between cursor and acknowledgement", "ingest", "atp.ingest.pull:Pull.acknowledge"),
    Point("between watermark and COPY", "drain", "asyncpg.connection:Connection.copy_records_to_table"),
    Point("between COPY and commit", "drain", "atp.journal.journal:save"),
    Point("between commit and trim", "drain", "atp.journal.journal:Journal.append", before=False),
    Point("behind the trim", "drain", "atp.ledger.ledger:Ledger.trim", before=False),
    Point("inside an atomic batch of events", "drain", "atp.outbox.sender:Sender._request"),
    Point("between events and their cursor", "drain", "atp.journal.journal:Journal.move_published"),
    Point("with the lost ledger closed", "", f"{_RESTORING}.begin", before=False),
    Point("with the witnesses heard", "", f"{_RESTORING}.seen", before=False),
    Point("with the outbox journaled", "", "atp.rebuild.rebuilder:Rebuilder._drain", before=False),
    Point("with what was left wiped", "", f"{_RESTORING}.wipe", before=False),
    Point("in the middle of the records", "", f"{_RESTORING}.write", before=False),
    Point("before it is opened", "", f"{_RESTORING}.open"),
    Point("behind its opening", "", f"{_RESTORING}.open", before=False),
]


def flag(folder: Path, point: Point) -> Path:
    """The file that arms a point; who died there left its id in a file of that name and ``.pid``."""
    return folder / point.name.replace(" ", "-")


def plant(argument: str) -> None:
    """Watch all points; ``argument`` is the folder of the files."""
    for point in POINTS:
        _watch(point, flag(Path(argument), point))


def _watch(point: Point, armed: Path) -> None:
    module, _, path = point.target.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    setattr(owner, name, _wrapped(getattr(owner, name), point.before, armed))


def _wrapped(function: Callable[..., Any], before: bool, armed: Path) -> Callable[..., Any]:
    async def later(*given: Any, **named: Any) -> Any:
        if before:
            _pass(armed)
        result = await function(*given, **named)
        if not before:
            _pass(armed)
        return result

    def at_once(*given: Any, **named: Any) -> Any:
        if before:
            _pass(armed)
        result = function(*given, **named)
        if not before:
            _pass(armed)
        return result

    return later if inspect.iscoroutinefunction(function) else at_once


def _pass(armed: Path) -> None:
    try:
        armed.unlink()
    except FileNotFoundError:
        return
    armed.with_suffix(".pid").write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGKILL)
