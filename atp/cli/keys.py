"""``atp keys``: clients of the API and their keys, kept in the ledger as policies of kind "client"."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from atp import config as settings
from atp.cli.client import find_stores
from atp.cli.errors import Misused, Refused
from atp.cli.output import note, run_once

if TYPE_CHECKING:
    from atp.domain.keys import Client, Quota
    from atp.domain.records import Policy
    from atp.ledger import Ledger

Name = Annotated[str, Parameter(help="The client's name, up to 64 characters.")]


def create(
    client: Name,
    *,
    scope: list[str] | None = None,
    channel: list[str] | None = None,
    source: list[str] | None = None,
    quota: list[str] | None = None,
    json_: bool = False,
) -> int:
    """Make a key for a client and print it; it is shown only now. An unknown client is made with the scopes.

    A client may have two keys, so that its callers can change from one to the other.

    Example: atp keys create shop --scope availability:read --scope reservations:write

    Parameters
    ----------
    scope
        What a new client may do (repeatable); for a known one, replaces what it may do.
    channel
        Bind the client to these channels (repeatable); a new one without any may use all.
    source
        Let the client send stock events as these sources only (repeatable); a new one without any may as all.
    quota
        Requests a second of a class, and how many at once: reserve=500 or reserve=500:2000 (repeatable; classes
        reserve, change, read, bulk). Replaces all quotas of a known client; "none" takes them away.
    json_
        Print as JSON.
    """
    config = _load()
    return run_once(config, _create(config, client, scope, channel, source, quota, json_))


def revoke(prefix: str, *, json_: bool = False) -> int:
    """Revoke a key; the API processes refuse it within seconds.

    Example: atp keys revoke x7k2m9q4w1zt

    Parameters
    ----------
    prefix
        The key's prefix: the part between the first two underscores, as ``atp keys list`` shows it.
    json_
        Print as JSON.
    """
    config = _load()
    return run_once(config, _revoke(config, prefix, json_))


def list_keys(*, json_: bool = False) -> int:
    """List clients with their scopes, channels, sources, quotas and the prefixes of their keys.

    Example: atp keys list --json

    Parameters
    ----------
    json_
        Print as JSON.
    """
    config = _load()
    return run_once(config, _list(config, json_))


def _load() -> settings.Config:
    return find_stores(settings.load(), "redis_url")


@asynccontextmanager
async def _ledger(config: settings.Config) -> AsyncIterator["Ledger"]:
    """The ledger, with the journal as witness if one is configured: a ledger without history needs it."""
    from atp.wiring import open_journal, open_ledger

    if not config.database_url:
        async with open_ledger(config, None) as ledger:
            yield ledger
        return
    async with open_journal(config) as journal, open_ledger(config, journal) as ledger:
        yield ledger


async def _create(
    config: settings.Config,
    name: str,
    scopes: list[str] | None,
    channels: list[str] | None,
    sources: list[str] | None,
    quotas: list[str] | None,
    as_json: bool,
) -> None:
    from atp.domain import identifiers, keys, times

    if wrong := identifiers.fault(name):
        raise Misused(f"the client's name {wrong}")
    if unknown := set(scopes or ()) - set(keys.SCOPES):
        raise Misused(f"unknown scope {', '.join(sorted(unknown))}; there are {', '.join(keys.SCOPES)}")
    limits = None if quotas is None else _quotas(quotas)
    async with _ledger(config) as ledger:
        policy = await ledger.policy("client", name)
        is_new = policy is None or policy.deleted
        if is_new and not scopes:
            raise Misused(f"there is no client {name} yet: give it at least one --scope")
        before = _client(policy) if policy and not is_new else keys.Client([])
        if len(before.keys) >= keys.KEYS_MAX:
            held = ", ".join(key.prefix for key in before.keys)
            raise Refused(f"{name} has {keys.KEYS_MAX} keys: revoke one first ({held})")
        text, record = keys.new_key(times.rfc3339(time.time_ns() // 1_000_000))
        changed = msgspec.structs.replace(
            before,
            scopes=scopes or before.scopes,
            channels=before.channels if channels is None else channels,
            sources=before.sources if sources is None else sources,
            keys=[*before.keys, record],
            quotas=before.quotas if limits is None else limits,
        )
        await _put(ledger, name, changed, policy.version if policy else 0)
    if as_json:
        print(msgspec.json.encode({"client": name, "prefix": record.prefix, "key": text}).decode())
    else:
        print(text)
        note(f"Key of client {name}. It is not stored and cannot be shown again.")


def _quotas(given: list[str]) -> dict[str, "Quota"]:
    from atp.domain.keys import QUOTA_CLASSES, Quota

    found: dict[str, Quota] = {}
    for text in given if given != ["none"] else []:
        name, _, numbers = text.partition("=")
        rate, _, burst = numbers.partition(":")
        if name not in QUOTA_CLASSES:
            raise Misused(f"--quota {text}: expected one of the classes {', '.join(QUOTA_CLASSES)}, as in reserve=500")
        try:
            found[name] = msgspec.convert({"rate": float(rate), "burst": float(burst or 0)}, Quota)
        except (ValueError, msgspec.ValidationError):
            raise Misused(
                f"--quota {text}: expected requests a second, as in reserve=500 or reserve=500:2000"
            ) from None
    return found


async def _revoke(config: settings.Config, prefix: str, as_json: bool) -> None:
    async with _ledger(config) as ledger:
        for policy in await ledger.policies("client"):
            client = _client(policy)
            kept = [key for key in client.keys if key.prefix != prefix]
            if len(kept) < len(client.keys):
                await _put(ledger, policy.id, msgspec.structs.replace(client, keys=kept), policy.version)
                break
        else:
            raise Refused(f"no key has the prefix {prefix!r}; see: atp keys list")
    print(msgspec.json.encode({"revoked": prefix, "client": policy.id}).decode() if as_json else f"revoked {prefix}")


async def _list(config: settings.Config, as_json: bool) -> None:
    async with _ledger(config) as ledger:
        clients = [(policy.id, _client(policy)) for policy in await ledger.policies("client") if not policy.deleted]
    if as_json:
        print(msgspec.json.encode([{"client": name, **_shown(client)} for name, client in clients]).decode())
        return
    for name, client in clients:
        prefixes = ", ".join(f"{key.prefix} ({key.created_at})" for key in client.keys) or "no key"
        bound = f"  channels: {', '.join(client.channels)}" if client.channels else ""
        bound += "".join(f"  {name} quota: {q.rate:g}/s, {q.size:g} at once" for name, q in client.quotas.items())
        bound += f"  sources: {', '.join(client.sources)}" if client.sources else ""
        print(f"{name}  scopes: {', '.join(client.scopes)}{bound}  keys: {prefixes}")


def _shown(client: "Client") -> dict[str, object]:
    """Without the hashes: nobody needs them here."""
    keys = [{"prefix": key.prefix, "created_at": key.created_at} for key in client.keys]
    return {
        "scopes": client.scopes,
        "channels": client.channels,
        "sources": client.sources,
        "quotas": client.quotas,
        "disabled": client.disabled,
        "keys": keys,
    }


async def _put(ledger: "Ledger", name: str, client: "Client", version: int) -> None:
    from atp.domain.commands import PutPolicy

    body = msgspec.json.encode(client).decode()
    result = await ledger.put_policy(PutPolicy("client", name, body, if_version=version, client="atp keys"))
    if not result.outcome.accepted:
        raise Refused(f"client {name} was changed by somebody else meanwhile; try again")


def _client(policy: "Policy") -> "Client":
    from atp.domain.keys import Client

    return msgspec.json.decode(policy.body, type=Client)
