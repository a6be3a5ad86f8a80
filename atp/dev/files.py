"""Small files of a state directory: secrets, ports and process ids, private and written atomically."""

import os
import secrets
from pathlib import Path

import msgspec

from atp.dev.errors import StateDirUnfit


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically; only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def private_dir(path: Path) -> Path:
    """Make a directory that only its owner may enter; an existing one is left as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def secret(state_dir: Path, name: str) -> str:
    """The secret called ``name`` of this state directory, made at its first use and then kept."""
    path = state_dir / "secrets.json"
    known = read_map(path)
    if name not in known:
        known[name] = secrets.token_urlsafe(24)
        write_private(path, msgspec.json.format(msgspec.json.encode(known)).decode())
    return known[name]


def read_map(path: Path) -> dict[str, str]:
    """A JSON object of strings; an absent file is an empty one. Raises StateDirUnfit."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as problem:
        raise StateDirUnfit(f"{path} cannot be read ({problem}): remove it, or begin anew with --fresh") from None
