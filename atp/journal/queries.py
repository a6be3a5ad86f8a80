"""The texts of the SQL files by name. No SQL stands in Python."""

import re
from importlib.resources import files

_NAMED = re.compile(r"^-- name: (\w+)\n((?:--.*\n)*)", re.MULTILINE)


def load_queries() -> dict[str, str]:
    """Name to query text, comments stripped."""
    found: dict[str, str] = {}
    for file in ("queries.sql", "history.sql", "checking.sql"):
        parts = _NAMED.split(files("atp.journal").joinpath(file).read_text())
        found |= {name: text.strip() for name, text in zip(parts[1::3], parts[3::3], strict=True)}
    return found
