"""Identity: who calls, and what they may do.

Clients and the hashes of their keys are ledger state (R31), so a process serves while PostgreSQL is away. Each process
keeps a copy and reloads it within a second of a change, and at once, though at most once a second, when it meets a
prefix it does not know: a key works as soon as it was created.
"""

import asyncio
import time
from collections.abc import Mapping
from hmac import compare_digest

import structlog
from msgspec import DecodeError, Struct, json

from atp.api.problems import CHANNEL_NOT_ALLOWED, FORBIDDEN, UNAUTHENTICATED, Problem
from atp.api.settings import ApiSettings
from atp.domain.keys import Client, Quota, key_hash, key_prefix
from atp.ledger import Ledger, LedgerError

log = structlog.get_logger("atp.api")

_decode_client = json.Decoder(Client).decode

#: Marks routes that anyone may call; every other route names its scopes (default deny).
PUBLIC: tuple[str, ...] = ()


class Principal(Struct, frozen=True):
    """A known caller."""

    client: str
    scopes: frozenset[str]
    channels: frozenset[str] = frozenset()  # empty is all (R34)
    sources: frozenset[str] = frozenset()  # the same
    key: str = ""  # prefix of the key that was used
    quotas: Mapping[str, Quota] = {}  # by class; a class that is not named is not limited (R31)

    def require(self, scopes: tuple[str, ...]) -> None:
        """Raises Problem (403) unless the caller has one of ``scopes``."""
        if self.scopes.isdisjoint(scopes):
            raise Problem(FORBIDDEN, f"This needs the scope {' or '.join(scopes)}.")

    def sees(self, channel: str) -> bool:
        """Whether reservations of this channel exist for the caller (R34)."""
        return not self.channels or channel in self.channels

    def speaks_for(self, source: str) -> bool:
        """Whether the caller may send stock events as this source (R34)."""
        return not self.sources or source in self.sources

    def require_channel(self, channel: str) -> None:
        """Raises Problem (403) for a channel the caller is not bound to."""
        if not self.sees(channel):
            allowed = ", ".join(sorted(self.channels))
            raise Problem(CHANNEL_NOT_ALLOWED, f"This client is bound to: {allowed}. Not to: {channel}.")


class Clients:
    """The process's copy of all clients and their keys."""

    def __init__(self, ledger: Ledger, settings: ApiSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._by_prefix: dict[str, tuple[str, Principal]] = {}  # prefix → SHA-256 of the key, caller
        self._tokens: dict[bytes, Principal] = {}  # Authorization headers that were verified since the last load
        self._version = -1
        self._loaded_at = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def loaded(self) -> bool:
        """Whether the clients have been read at least once; before that nobody can be let in."""
        return self._version >= 0

    async def authenticate(self, headers: dict[bytes, bytes]) -> Principal:
        """The caller of a request with these headers. Raises Problem (401), and LedgerError while nothing is loaded."""
        authorization = headers.get(b"authorization", b"")
        if known := self._tokens.get(authorization):
            return known
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise _unauthenticated("Send an API key in the header Authorization: Bearer <key>.")
        text = token.strip().decode("latin-1")
        prefix = key_prefix(text)
        if prefix is None:
            raise _unauthenticated("This is not an API key of this service.", "invalid_token")
        if prefix not in self._by_prefix:
            await self._load_soon()
        expected, principal = self._by_prefix.get(prefix, ("", None))
        if not compare_digest(key_hash(text), expected) or principal is None:
            raise _unauthenticated("This API key is not known, or was revoked.", "invalid_token")
        if len(self._tokens) >= self._settings.tokens_max:
            self._tokens.clear()
        self._tokens[authorization] = principal
        return principal

    async def run(self) -> None:
        """Keep the copy fresh until cancelled; a ledger that is away leaves the last copy in place."""
        while True:
            try:
                await self.run_once()
            except LedgerError as error:
                log.warning("clients could not be reloaded", error=type(error).__name__)
            await asyncio.sleep(self._settings.clients_check_s)

    async def run_once(self) -> None:
        """Reload if a policy changed. The ledger is asked, since a process without traffic hears of no change."""
        heads = await self._ledger.heads()
        if heads[0].policy_version != self._version:
            await self._load(heads[0].policy_version)

    async def _load_soon(self) -> None:
        """Reload for an unknown prefix, at most once a second whatever callers send, or if a change is known of."""
        async with self._lock:
            age = time.monotonic() - self._loaded_at
            if not self.loaded or age >= self._settings.clients_check_s or self._ledger.policy_version > self._version:
                self._loaded_at = time.monotonic()
                await self._load((await self._ledger.heads())[0].policy_version)

    async def _load(self, version: int) -> None:
        """Read all clients. ``version`` was read before them, so a change in between is seen by the next check."""
        by_prefix: dict[str, tuple[str, Principal]] = {}
        for policy in await self._ledger.policies("client"):
            try:
                client = _decode_client(policy.body)
            except DecodeError as error:
                log.error("a client's policy cannot be read", client=policy.id, error=str(error))
                continue
            if client.disabled:
                continue
            bounds = frozenset(client.scopes), frozenset(client.channels), frozenset(client.sources)
            for key in client.keys:
                by_prefix[key.prefix] = key.sha256, Principal(policy.id, *bounds, key.prefix, client.quotas)
        self._by_prefix = by_prefix
        self._tokens = {}
        self._version = version
        self._loaded_at = time.monotonic()


def _unauthenticated(detail: str, error: str = "") -> Problem:
    challenge = f'Bearer realm="atp", error="{error}"' if error else 'Bearer realm="atp"'
    return Problem(UNAUTHENTICATED, detail, headers={"www-authenticate": challenge})
