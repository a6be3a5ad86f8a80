"""Is the server fit to be a ledger? Asked before anything is written; a setting that breaks a promise is refused.

The settings and the reasons: DESIGN §5, research/reliability.md §0 and §3.4, docs/reference/durability.md. Each finding
names what was found, what is needed and the line that mends it.
"""

import re
from typing import Literal

import structlog
from msgspec import Struct

from atp.ledger.connection import Connection, ServerRefused
from atp.ledger.errors import LedgerUnfit

log = structlog.get_logger("atp.ledger")

#: What an acknowledged change survives: the process and the power (fsync), one disk (replica), the ledger (journal).
Durability = Literal["fsync", "replica", "journal"]


class Setting(Struct, frozen=True):
    """One setting of the server: what it has to be, and what would break otherwise."""

    name: str
    needed: str
    reason: str
    also: tuple[str, ...] = ()  # other values that keep the promise as well
    optional: bool = False  # servers that do not have it are fine


ALWAYS = (
    Setting("appendonly", "yes", "without the append-only file an acknowledged reservation dies with the process"),
    Setting("appendfsync", "always", "an answer must not leave before its entry is on disk"),
    Setting("no-appendfsync-on-rewrite", "no", "a rewrite of the file must not suspend the fsync"),
    Setting("maxmemory-policy", "noeviction", "evicting a key would forget stock or holds"),
    Setting(
        "aof-load-corrupt-tail-max-size", "0", "a damaged end of the file would be cut off silently", optional=True
    ),
)

#: R6: without its replica the ledger has to refuse before it executes.
WITH_REPLICA = (
    Setting("min-replicas-to-write", "1", "a batch must not run while no replica can confirm it"),
    Setting("min-replicas-max-lag", "2", "a replica that went away must be noticed before units pile up", also=("1",)),
)

#: A server that may have the torn-MULTI bug must not begin behind a torn block: it would drop what is written next.
UNPROVEN = (Setting("aof-load-truncated", "no", "behind a torn end of the file new writes could be lost"),)

#: First releases without the torn-MULTI bug, by major version: below, a double crash loses fsynced writes.
VALKEY_FIXED = {8: (8, 1, 10), 9: (9, 1, 2)}


async def check(
    connection: Connection, durability: Durability = "fsync", *, unproven: bool = False, replica: bool = False
) -> None:
    """Raise LedgerUnfit with every finding, each naming the setting, the reason and the fix.

    ``unproven`` lets a server be used of which it is not known whether it has the torn-MULTI bug; ``replica`` says
    that it may be one, because it is about to be promoted.
    """
    info = (await connection.ask("INFO")).decode()
    findings = [*([] if replica else judge_role(info)), *judge_version(info, unproven=unproven)]
    settings = ALWAYS
    if durability == "replica":
        settings += WITH_REPLICA
    if unproven and not _valkey(info):
        settings += UNPROVEN
        log.warning(
            "this server is not known to keep fsynced writes in a double crash; used as ATP_UNPROVEN_SERVER says"
        )
    for setting in settings:
        try:
            reply = await connection.ask("CONFIG", "GET", setting.name)
        except ServerRefused as refused:
            findings.append(f"cannot read the setting {setting.name} ({refused}): allow CONFIG GET to this user")
            continue
        findings += judge_setting(setting, reply[1].decode() if reply else None)
    if findings:
        raise LedgerUnfit("the server cannot be a ledger: " + "; ".join(findings))


def judge_setting(setting: Setting, found: str | None) -> list[str]:
    """What is wrong with a setting's value; None says that the server does not have it."""
    if found is None and setting.optional:
        return []
    if found in (setting.needed, *setting.also):
        return []
    name, needed = setting.name, setting.needed
    return [f"{name} is {found or 'unknown'}, must be {needed}: {setting.reason}; fix: CONFIG SET {name} {needed}"]


def judge_version(info: str, *, unproven: bool) -> list[str]:
    """Whether the server is known to be free of the torn-MULTI bug."""
    version = _valkey(info)
    if version is None:
        if unproven:
            return []
        found = re.search(r"^redis_version:(\S+)", info, re.MULTILINE)
        return [
            f"the server is {'Redis ' + found[1] if found else 'no Valkey'}, must be Valkey 8.1.10, 9.1.2 or newer: "
            "others are not known to be free of the torn-MULTI bug; fix: use Valkey, or take the risk with "
            "ATP_UNPROVEN_SERVER=allow"
        ]
    fixed = VALKEY_FIXED.get(version[0])
    if version[0] > max(VALKEY_FIXED) or (fixed and version >= fixed):
        return []
    text = ".".join(map(str, version))
    return [f"Valkey {text} can lose fsynced writes in a double crash; fix: use 8.1.10, 9.1.2 or newer"]


def judge_role(info: str) -> list[str]:
    """A replica takes no writes, and what it serves may be behind."""
    if not re.search(r"^role:slave", info, re.MULTILINE):
        return []
    host, port = (re.search(rf"^master_{name}:(\S+)", info, re.MULTILINE) for name in ("host", "port"))
    primary = f"{host[1]}:{port[1]}" if host and port else "another server"
    return [
        f"role is replica of {primary}, must be primary; fix: point ATP_REDIS_URL at {primary}, or, if that is lost, "
        "make this one the primary with: atp promote"
    ]


def _valkey(info: str) -> tuple[int, ...] | None:
    found = re.search(r"^valkey_version:(\d+)\.(\d+)\.(\d+)", info, re.MULTILINE)
    return tuple(map(int, found.groups())) if found else None
