"""The two clients of a local stack."""

import msgspec

from atp.config import Config
from atp.dev.state import ClientKeys
from atp.domain import keys
from atp.domain.commands import PutPolicy
from atp.wiring import open_journal, open_ledger

_EVERYDAY = [scope for scope in keys.SCOPES if scope != "admin"]


async def register(config: Config, known: ClientKeys) -> None:
    """Make the ledger know both keys; writes only what differs, since every change is an entry for ever."""
    wanted = {
        "dev": _client(_EVERYDAY, known.api_key, known.created_at),
        "dev-admin": _client(list(keys.SCOPES), known.admin_key, known.created_at),
    }
    async with open_journal(config) as journal, open_ledger(config, journal) as ledger:
        for name, client in wanted.items():
            policy = await ledger.policy("client", name)
            if policy is None or msgspec.json.decode(policy.body, type=keys.Client) != client:
                await ledger.put_policy(PutPolicy("client", name, msgspec.json.encode(client).decode()))


def _client(scopes: list[str], key: str, created_at: str) -> keys.Client:
    prefix = keys.key_prefix(key)
    if prefix is None:
        raise ValueError("keys.json holds a malformed key")
    return keys.Client(scopes, keys=[keys.KeyRecord(prefix, keys.key_hash(key), created_at)])
