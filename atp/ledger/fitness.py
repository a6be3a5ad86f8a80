"""Is the server fit to be a ledger? Asked before anything is written; a setting that breaks a promise is refused.

The settings and the reasons: DESIGN §5, research/reliability.md §0 and §3.4.
"""

import re

from atp.ledger.connection import Connection, ServerRefused
from atp.ledger.errors import LedgerUnfit

REQUIRED = {
    "appendonly": ("yes", "without the append-only file an acknowledged reservation dies with the process"),
    "appendfsync": ("always", "an answer must not leave before its entry is on disk"),
    "no-appendfsync-on-rewrite": ("no", "a rewrite of the file must not suspend the fsync"),
    "maxmemory-policy": ("noeviction", "evicting a key would forget stock or holds"),
}

#: First releases without the torn-MULTI bug, by major version: below, a double crash loses fsynced writes.
VALKEY_FIXED = {8: (8, 1, 10), 9: (9, 1, 2)}


async def check(connection: Connection) -> None:
    """Raise LedgerUnfit with every finding, each naming the setting, the reason and the fix."""
    findings = await _version(connection)
    for name, (needed, reason) in REQUIRED.items():
        try:
            reply = await connection.ask("CONFIG", "GET", name)
        except ServerRefused as refused:
            findings.append(f"cannot read the setting {name} ({refused}): allow CONFIG GET to this user")
            continue
        found = reply[1].decode() if reply else "unknown"
        if found != needed:
            findings.append(f"{name} is {found}, must be {needed}: {reason}; fix: CONFIG SET {name} {needed}")
    if findings:
        raise LedgerUnfit("the server cannot be a ledger: " + "; ".join(findings))


async def _version(connection: Connection) -> list[str]:
    info = (await connection.ask("INFO", "server")).decode()
    found = re.search(r"^valkey_version:(\d+)\.(\d+)\.(\d+)", info, re.MULTILINE)
    if not found:
        return ["the server is not Valkey: other servers are not known to be free of the torn-MULTI bug"]
    version = tuple(map(int, found.groups()))
    fixed = VALKEY_FIXED.get(version[0])
    if version[0] > max(VALKEY_FIXED) or (fixed and version >= fixed):
        return []
    return [f"Valkey {'.'.join(found.groups())} can lose fsynced writes in a double crash; use 8.1.10, 9.1.2 or newer"]
