"""Paths into a message: ``data.counts[*]``, ``"key.with.dots"[0]``, ``^.siteId``, ``header:X-Event-Id``.

name  "quoted name"     a key of an object; quoted when it holds anything but letters, digits, ``_`` and ``-``
[2]                     an item of an array
[*]   .*                all items of an array, all values of an object; only in ``each``
$     ^                 where to begin: the whole message; the row around this one (``^^`` the one around that).
                        Otherwise at the row itself
header:NAME             a header of the message, whatever its case
@key  @index            the key or index under which ``each`` found the row
@value                  the row itself, when it is a text or a number
@received               when the message arrived, RFC 3339
@digest  @hash          digests of the whole message and of the row with the plain values around it
"""

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from atp.mapping.reasons import Refusal, Refused, wrong
from atp.mapping.scopes import MISSING, Scope, joined

#: Wildcards of one path; each multiplies the rows.
WILDCARDS_MAX = 4
STEPS_MAX = 32


class Every(Struct, frozen=True):
    """All items of an array (``[*]``) or all values of an object (``.*``)."""

    items: bool


ITEMS: Final = Every(True)
VALUES: Final = Every(False)
SPECIAL = frozenset(("@value", "@key", "@index", "@received", "@digest", "@hash"))

Step = str | int | Every

_STEP = re.compile(
    r"""\.?(?P<name>\w[\w-]*) | \.?"(?P<quoted>[^"]+)" | \[(?P<index>\d{1,6})\] | (?P<items>\[\*\])
      | (?P<values>\.?\*)""",
    re.VERBOSE,
)
_ROOT = re.compile(r"\$|\^+")


class Path(Struct, frozen=True):
    """A path as it was read. ``root`` is "", "$", "^"…, "header:" or one of SPECIAL."""

    text: str
    root: str
    steps: tuple[Step, ...]

    @property
    def wildcards(self) -> int:
        """How many of its steps match several values."""
        return sum(isinstance(step, Every) for step in self.steps)


def parse(text: str, key: str, *, wildcards: bool = False) -> Path:
    """The path in ``text``; ``key`` is where it stands in the mapping. Raises Wrong."""
    if text.startswith("header:"):
        name = text.removeprefix("header:").strip().lower()
        return Path(text, "header:", (name or wrong(key, "header: needs the header's name"),))
    if text.startswith("@"):
        return Path(text, text if text in SPECIAL else wrong(key, f"{text} is none of {sorted(SPECIAL)}"), ())
    found = _ROOT.match(text)
    root = found[0] if found else ""
    steps = tuple(_steps(text, len(root), key))
    if not steps and not root:
        wrong(key, "the path is empty")
    path = Path(text, root, steps)
    if path.wildcards > (WILDCARDS_MAX if wildcards else 0):
        most = f"at most {WILDCARDS_MAX}" if wildcards else "only in `each`"
        wrong(key, f"{text!r} has {path.wildcards} wildcards; they stand {most}")
    return path


def _steps(text: str, at: int, key: str) -> Iterator[Step]:
    count = 0
    while at < len(text):
        found = _STEP.match(text, at)
        begins = found is not None and found[0][0] in ".["
        if not found or (at > 0 and not begins) or (at == 0 and found[0][0] == "."):
            wrong(key, f"{text!r} is no path: see column {at + 1}")
        if (count := count + 1) > STEPS_MAX:
            wrong(key, f"{text!r} has more than {STEPS_MAX} steps")
        match found.lastgroup:
            case "items":
                yield ITEMS
            case "values":
                yield VALUES
            case "index":
                yield int(found["index"])
            case "name" | "quoted" | _:
                yield found["name"] or found["quoted"]
        at = found.end()


def find(path: Path, scope: Scope) -> object:
    """The value a path without wildcards leads to, or MISSING."""
    if path.root:
        if path.root == "header:":
            return scope.message.headers.get(str(path.steps[0]), MISSING)
        if path.root[0] == "@":
            return scope.special(path.root)
        scope = climb(path, scope)
    value = scope.value
    for step in path.steps:
        value = _descend(value, step, scope.message.ignore_case)
        if value is MISSING:
            break
    return value


def climb(path: Path, scope: Scope) -> Scope:
    """The row at which a path begins; the outermost when there are not that many."""
    if path.root == "$":
        while scope.parent is not None:
            scope = scope.parent
    else:
        for _ in path.root:
            scope = scope.parent or scope
    return scope


def where(path: Path, scope: Scope) -> str:
    """The path from the root of the message, for people."""
    if path.root and path.root[0] in "h@":
        return path.text
    return joined((climb(path, scope) if path.root else scope).where, path.steps)


def holds(path: Path, scope: Scope) -> bool:
    """Whether what a path looks for rows in is there: an array or object before its first wildcard, else the row."""
    at = next((n for n, step in enumerate(path.steps) if isinstance(step, Every)), len(path.steps))
    value = _along(scope, path.steps[:at])
    if at < len(path.steps):
        return isinstance(value, list if path.steps[at] == ITEMS else dict)
    return value is not MISSING and value is not None


def rows(path: Path, scope: Scope, *, missing_ok: bool) -> Iterator[Scope]:
    """Every row a path finds. Raises Refused when what should hold rows is not there, unless it may be missing."""
    if path.steps:
        yield from _rows(scope, path.steps, missing_ok)
    else:
        yield scope


def _rows(scope: Scope, steps: tuple[Step, ...], missing_ok: bool) -> Iterator[Scope]:
    at = next((n for n, step in enumerate(steps) if isinstance(step, Every)), None)
    if at is None:
        row = Scope(_along(scope, steps), scope, steps, None, scope.message)
        if _is_there(row, missing_ok):
            yield row
        return
    holder = Scope(_along(scope, steps[:at]), scope, steps[:at], None, scope.message)
    if not _is_there(holder, missing_ok):
        return
    items = steps[at] == ITEMS
    if not isinstance(holder.value, list if items else dict):
        raise Refused(Refusal.INVALID_DATA, f"{holder.where} is not {'an array' if items else 'an object'}")
    rest = steps[at + 1 :]
    more = any(isinstance(step, Every) for step in rest)
    for key, item in enumerate(holder.value) if isinstance(holder.value, list) else list(holder.value.items()):
        row = Scope(item, scope, (*steps[:at], key), key, scope.message)
        if more:
            yield from _rows(row, rest, missing_ok)
            continue
        if rest:
            row.value, row.trail = _along(row, rest), (*row.trail, *rest)
        if _is_there(row, missing_ok):
            yield row


def _along(scope: Scope, steps: tuple[Step, ...]) -> object:
    value = scope.value
    for step in steps:
        value = _descend(value, step, scope.message.ignore_case)
    return value


def _is_there(row: Scope, missing_ok: bool) -> bool:
    if row.value is not MISSING and row.value is not None:
        return True
    if missing_ok:
        return False
    raise Refused(Refusal.INVALID_DATA, f"{row.where} is not there, and it should hold rows")


def _descend(value: object, step: Step, ignore_case: bool) -> object:
    if isinstance(value, dict) and isinstance(step, str):
        if not ignore_case:
            return value.get(step, MISSING)
        return _any_case(value, step)
    if isinstance(value, list) and isinstance(step, int):
        return value[step] if step < len(value) else MISSING
    return MISSING


def _any_case(value: dict[str, object], name: str) -> object:
    wanted = name.casefold()
    found = [key for key in value if key.casefold() == wanted]
    if len(found) > 1:
        raise Refused(Refusal.INVALID_DATA, f"{found[0]!a} and {found[1]!a} differ only in case; which one is meant?")
    return value[found[0]] if found else MISSING
