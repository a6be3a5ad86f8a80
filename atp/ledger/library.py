"""The Lua function library: joined from its files, and named after its content.

The name carries a digest of the source, and every function name carries the library's, so two releases run side by
side on one server and a call can only ever reach exactly the code this process was built with (DESIGN §3).
"""

import re
from functools import cache
from hashlib import blake2b
from importlib.resources import files

#: Files in the order in which they are joined: a local must stand above its first use.
PARTS = (
    "head", "batch", "writing", "remembering", "exceptions", "clock", "policies", "sources", "positions",
    "projection", "floors", "tallies", "inclusion", "shortage", "asides", "shipping", "stock", "moves", "touching",
    "adjusting", "snapshots", "supply", "returns", "limits", "reservations", "naming", "retention", "drawing",
    "sourcing", "contended", "reserve", "lifecycle", "fulfilment", "legs", "picking", "telling", "orders", "affect",
    "campaigns", "authority", "policy", "repairing", "apply", "explain", "availability", "look", "read", "promotion",
    "lease", "quota", "room", "rebuild",
)  # fmt: skip


#: A function or a name that a part declares for itself, at the start of a line.
_DECLARED = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)

#: What reads like a name and is none: comments, texts, fields of tables.
_NO_NAMES = re.compile(r'--.*|"[^"\n]*"|(?<!\.)\.\w+')


#: Names of numbers in head.lua: ``local A, B = 1, 2`` and ``local T = { A = 1, B = 2 }``.
_NUMBERS = re.compile(r"^local ([A-Z][A-Z_, ]*) = ([\d, ]+)(?=$| --)", re.MULTILINE)
_TABLE = re.compile(r"^local ([A-Z]) = \{([A-Z_ =\d,\n]+)\}", re.MULTILINE)


@cache
def source() -> tuple[str, str]:
    """(library name, text for FUNCTION LOAD)."""
    return finish(text())


@cache
def text() -> str:
    """All parts as one text, with the names that people read."""
    folder = files("atp.ledger") / "lua"
    return _join([(folder / f"{part}.lua").read_text() for part in PARTS])


def finish(text: str) -> tuple[str, str]:
    """(library name, text for FUNCTION LOAD) of a joined text."""
    body = _with_numbers(text)
    name = "atp_" + blake2b(body.encode(), digest_size=6).hexdigest()
    return name, f"#!lua name={name}\n{body.replace('@LIBRARY@', name)}"


def _with_numbers(text: str) -> str:
    """The numbers themselves where they are named: a number needs no local and costs no look-up."""
    numbers: dict[str, str] = {}
    for names, values in _NUMBERS.findall(text):
        numbers.update(zip(names.split(", "), values.strip().split(", "), strict=True))
    for table, items in _TABLE.findall(text):
        numbers.update({f"{table}.{name}": value for name, value in re.findall(r"(\w+) = (\d+)", items)})
    text = _TABLE.sub(lambda found: "\n" * found[0].count("\n"), _NUMBERS.sub("", text))
    return re.sub(r"(?<![\w.])[A-Z](?:\.[A-Z_]+\b|[A-Z_]*\b)", lambda found: numbers.get(found[0], found[0]), text)


def _join(parts: list[str]) -> str:
    """One text in which a part keeps to itself what no later part names, since a Lua chunk has at most 200 locals."""
    joined = [parts[0]]
    for index, part in enumerate(parts[1:], 1):
        later = set(re.findall(r"\w+", _NO_NAMES.sub("", "\n".join(parts[index + 1 :]))))
        shared = {name for name in _DECLARED.findall(part) if name in later}
        joined.append("".join(f"local {name}\n" for name in sorted(shared)) + "do\n" + _share(part, shared) + "end\n")
    return "\n".join(joined)


def _share(part: str, shared: set[str]) -> str:
    """The part with its shared names assigned where it declares them."""
    for name in shared:
        part = re.sub(rf"^local function {name}\b", f"function {name}", part, flags=re.MULTILINE)
        part = re.sub(rf"^local {name} =", f"{name} =", part, flags=re.MULTILINE)
        part = re.sub(rf"^local {name}\b(?=\s*(?:--.*)?$)", "", part, flags=re.MULTILINE)
    return part


def function(name: str) -> bytes:
    """The server-wide name of one of the library's functions."""
    return f"{source()[0]}_{name}".encode()
