"""Tables from the ids of a vendor to the names of the shop, inline in a mapping or in a CSV file beside it."""

import csv
from collections.abc import Iterator
from pathlib import Path

from atp.domain.identifiers import fault
from atp.mapping.reasons import Refusal, Refused, shown, wrong
from atp.mapping.spec import Lookup

#: Rows of one table; they are all kept in memory.
ROWS_MAX = 5_000_000


class Skipped(Exception):
    """A row is left out on purpose, and counted under this reason; "" is not counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LookupTable:
    """One table, ready to be asked."""

    def __init__(self, name: str, ids: dict[str, str], missing: str) -> None:
        self._name = name
        self._ids = ids
        self._missing = missing

    def find(self, id: str, where: str) -> str:
        """Our name for a vendor's id. Raises Refused or Skipped for one that the table does not have."""
        found = self._ids.get(id)
        if found is not None:
            return found
        if self._missing == "keep":
            return id
        if self._missing == "skip":
            raise Skipped(f"not in lookup.{self._name}")
        raise Refused(Refusal.UNKNOWN_ID, f"{where}: {shown(id)} is not in the table lookup.{self._name}")


def open_table(name: str, spec: Lookup, folder: Path) -> LookupTable:
    """The table of a mapping whose file lies in ``folder``; inline ids win. Raises Wrong."""
    key = f"lookup.{name}"
    ids = dict(_rows(folder / spec.file, f"{key}.file")) if spec.file else {}
    for id, ours in spec.ids.items():
        if problem := fault(ours):
            wrong(f"{key}.ids", f"the name for {shown(id)} {problem}")
    ids.update(spec.ids)
    return LookupTable(name, ids, spec.missing)


def _rows(path: Path, key: str) -> Iterator[tuple[str, str]]:
    """The first line names the columns and is not read."""
    seen: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            next(reader, None)
            for row in reader:
                at = f"{path.name} line {reader.line_num}"
                if len(row) < 2 or not row[0]:
                    if not any(row):
                        continue
                    wrong(key, f"{at}: needs two columns, the vendor's id and ours")
                if problem := fault(row[1]):
                    wrong(key, f"{at}: the name for {shown(row[0])} {problem}")
                if row[0] in seen:
                    wrong(key, f"{at}: {shown(row[0])} stands twice")
                seen.add(row[0])
                if len(seen) > ROWS_MAX:
                    wrong(key, f"{at}: more than {ROWS_MAX} rows")
                yield row[0], row[1]
    except OSError as error:
        wrong(key, f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        wrong(key, f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x}")
    except csv.Error as error:
        wrong(key, f"{path} is no CSV: {error}")
