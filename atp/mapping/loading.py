"""Mapping files: found by name or path, put together with what they extend, checked, compiled."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from atp.mapping.lookups import open_table
from atp.mapping.mapping import Mapping
from atp.mapping.reasons import MappingError, Wrong
from atp.mapping.spec import Spec

#: Mappings that extend one another.
_DEPTH_MAX = 5

#: Bytes of one mapping file; large tables belong in CSV files.
_FILE_MAX = 4 << 20

_SHIPPED = Path(str(files("atp.mapping") / "shipped"))
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def shipped() -> list[str]:
    """Names of the mappings that come with atp."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def listed(folder: Path | None) -> list[str]:
    """Names of the mappings in a folder and of the shipped ones."""
    own = {path.stem for path in folder.glob("*.toml") if _NAME.fullmatch(path.stem)} if folder else set()
    return sorted(own | set(shipped()))


def load(name: str, folder: Path | None = None) -> Mapping:
    """The mapping at this path (which ends in .toml), or of this name in ``folder`` or among the shipped ones.

    Raises MappingError.
    """
    path = find(name, folder)
    tables, owners = _together(path, [])
    spec = _spec(path, tables, owners)
    try:
        lookups = {
            table: open_table(table, lookup, owners.get(f"lookup.{table}.file", path).parent)
            for table, lookup in spec.lookup.items()
        }
        return Mapping(path.stem, spec, lookups)
    except Wrong as wrong:
        raise MappingError(str(_owner(wrong.key, owners, path)), wrong.key, wrong.reason) from None


def find(name: str, folder: Path | None = None) -> Path:
    """Where a mapping is kept. Raises MappingError."""
    if name.endswith(".toml"):
        return Path(name)
    if _NAME.fullmatch(name):
        for place in (folder, _SHIPPED):
            if place and (path := place / f"{name}.toml").is_file():
                return path
    known = ", ".join(listed(folder))
    raise MappingError(name, "", f"no such mapping; give a path that ends in .toml, or one of {known}")


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _FILE_MAX:
            raise MappingError(str(path), "", f"larger than {_FILE_MAX} bytes; keep tables in CSV files")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(str(path), "", error.strerror or "cannot be read") from None
    except UnicodeDecodeError as error:
        raise MappingError(
            str(path), "", f"not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
        ) from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise MappingError(str(path), "", f"not TOML: {error}") from None


def _together(path: Path, chain: list[Path]) -> tuple[dict[str, Any], dict[str, Path]]:
    """A mapping's tables over those it extends, and the file that each key comes from."""
    tables = _read(path)
    owners = dict.fromkeys(tables, path)
    for name, lookup in _table(tables, "lookup").items():
        owners[f"lookup.{name}"] = path
        if "file" in _as_table(lookup):
            owners[f"lookup.{name}.file"] = path
    base = tables.get("extends")
    if base is None:
        return tables, owners
    if not isinstance(base, str):
        raise MappingError(str(path), "extends", "is not text")
    below = find(str(path.parent / base) if base.endswith(".toml") else base)
    chain = [*chain, path]
    if below in chain or len(chain) >= _DEPTH_MAX:
        raise MappingError(str(path), "extends", f"{base} leads in a circle, or through more than {_DEPTH_MAX} files")
    under, theirs = _together(below, chain)
    return _over(under, tables), theirs | owners


def _over(under: dict[str, Any], tables: dict[str, Any]) -> dict[str, Any]:
    """Tables merge key by key; anything else, arrays too, replaces what was there."""
    merged = dict(under)
    for key, value in tables.items():
        before = merged.get(key)
        merged[key] = _over(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged


def _spec(path: Path, tables: dict[str, Any], owners: dict[str, Path]) -> Spec:
    try:
        return msgspec.convert(tables, Spec)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at `$")
        key = at.removesuffix("`").removeprefix(".")
        if unknown := re.search(r"unknown field `(.*)`", what):
            key, what = f"{key}.{unknown[1]}" if key else unknown[1], "there is no such key"
        elif missing := re.search(r"missing required field `(.*)`", what):
            key, what = f"{key}.{missing[1]}" if key else missing[1], "is missing"
        raise MappingError(str(_owner(key, owners, path)), key, what) from None


def _owner(key: str, owners: dict[str, Path], path: Path) -> Path:
    """The file to mend: the one that the longest known beginning of the key comes from."""
    names = re.split(r"[.\[]", key)
    return next((owners[part] for n in range(len(names), 0, -1) if (part := ".".join(names[:n])) in owners), path)


def _table(tables: dict[str, Any], name: str) -> dict[str, Any]:
    return _as_table(tables.get(name))


def _as_table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
