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
    "head", "batch", "clock", "policies", "positions", "floors", "shortage", "stock", "limits", "reservations",
    "retention", "sourcing", "reserve", "lifecycle", "fulfilment", "affect", "campaigns", "policy", "apply",
    "explain", "read",
)  # fmt: skip


#: A function or a name that a part declares for itself, at the start of a line.
_DECLARED = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)


@cache
def source() -> tuple[str, str]:
    """(library name, text for FUNCTION LOAD)."""
    folder = files("atp.ledger") / "lua"
    body = _join([(folder / f"{part}.lua").read_text() for part in PARTS])
    name = "atp_" + blake2b(body.encode(), digest_size=6).hexdigest()
    return name, f"#!lua name={name}\n{body.replace('@LIBRARY@', name)}"


def _join(parts: list[str]) -> str:
    """One text in which a part keeps to itself what no later part names, since a Lua chunk has at most 200 locals."""
    joined = [parts[0]]
    for index, part in enumerate(parts[1:], 1):
        later = set(re.findall(r"\w+", "\n".join(parts[index + 1 :])))
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
