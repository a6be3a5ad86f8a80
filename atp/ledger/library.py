"""The Lua function library: joined from its files, and named after its content.

The name carries a digest of the source, and every function name carries the library's, so two releases run side by
side on one server and a call can only ever reach exactly the code this process was built with (DESIGN §3).
"""

from functools import cache
from hashlib import blake2b
from importlib.resources import files

#: Files in the order in which they are joined: a local must stand above its first use.
PARTS = (
    "head", "batch", "clock", "policies", "positions", "shortage", "stock", "reservations", "retention", "sourcing",
    "reserve", "lifecycle", "fulfilment", "affect", "policy", "apply", "read",
)  # fmt: skip


@cache
def source() -> tuple[str, str]:
    """(library name, text for FUNCTION LOAD)."""
    folder = files("atp.ledger") / "lua"
    body = "\n".join((folder / f"{part}.lua").read_text() for part in PARTS)
    name = "atp_" + blake2b(body.encode(), digest_size=6).hexdigest()
    return name, f"#!lua name={name}\n{body.replace('@LIBRARY@', name)}"


def function(name: str) -> bytes:
    """The server-wide name of one of the library's functions."""
    return f"{source()[0]}_{name}".encode()
