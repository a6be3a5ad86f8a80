"""How far a file was published, kept beside it, so that a run that was cut off goes on where it stopped."""

from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

#: Bytes of a file that tell it from another one; the rest is too much to read before each run.
HEAD_BYTES = 64 << 10


class CannotResume(Exception):
    """What is known of an earlier run does not fit this one; the text says what."""


class Progress(Struct, forbid_unknown_fields=True):
    """Everything up to ``offset`` is stored by the server."""

    mapping: str
    source: str
    version: str
    head: str
    head_bytes: int
    offset: int = 0
    line: int = 0
    records: int = 0
    events: int = 0
    lines: int = 0
    rejected: int = 0
    rejects_bytes: int = 0
    skipped: dict[str, int] = {}
    snapshot: str = ""


def path_of(file: Path) -> Path:
    """Where a file's progress is kept."""
    return file.with_name(f"{file.name}.atp-progress")


def head_of(file: Path, size: int = HEAD_BYTES) -> tuple[str, int]:
    """Digest and length of a file's beginning."""
    with file.open("rb") as opened:
        head = opened.read(size)
    return blake2b(head, digest_size=16).hexdigest(), len(head)


def save(file: Path, progress: Progress) -> None:
    """Replace what was kept before, in one step."""
    path = path_of(file)
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(msgspec.json.encode(progress) + b"\n")
    new.replace(path)


def load(file: Path, now: Progress) -> Progress:
    """The progress of an earlier run; a fresh one if there is none. Raises CannotResume if it is of another run."""
    path = path_of(file)
    try:
        before = msgspec.json.decode(path.read_bytes(), type=Progress)
    except FileNotFoundError:
        return now
    except (msgspec.DecodeError, OSError) as error:
        raise CannotResume(f"{path} cannot be read: {error}") from None
    for name in ("mapping", "source", "version", "snapshot"):
        was, here = getattr(before, name), getattr(now, name)
        if was != here:
            raise CannotResume(f"{path}: the run before had {name} {was or 'none'}, this one has {here or 'none'}")
    if head_of(file, before.head_bytes) != (before.head, before.head_bytes) or file.stat().st_size < before.offset:
        raise CannotResume(f"{path}: {file.name} is not the file of the run before; start anew without --resume")
    return before


def forget(file: Path) -> None:
    """The file is done."""
    path_of(file).unlink(missing_ok=True)
