"""Identity: who calls, and what they may do.

Clients and the hashes of their keys are ledger state (R31), so a process serves while PostgreSQL is away. Each process
keeps a copy and reloads it within a second of a change, and at once, though at most once a second, when it meets a
prefix it does not know: a key works as soon as it was created.
"""

import asyncio
import time
from hmac import compare_digest
from typing import TYPE_CHECKING

import structlog
from msgspec import DecodeError, json

from atp.api.access.principal import Principal, unauthenticated
from atp.api.settings import ApiSettings, JwtSettings
from atp.domain.keys import Client, key_hash, key_prefix
from atp.ledger import Ledger, LedgerError

if TYPE_CHECKING:
    from atp.api.access.tokens import Tokens

log = structlog.get_logger("atp.api")

_decode_client = json.Decoder(Client).decode

#: Marks routes that anyone may call; every other route names its scopes (default deny).
PUBLIC: tuple[str, ...] = ()


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
        self._named: dict[str, Client] = {}
        self._jwts = _jwts(settings.jwt) if settings.jwt else None

    @property
    def loaded(self) -> bool:
        """Whether the clients have been read at least once; before that nobody can be let in."""
        return self._version >= 0

    def met(self, headers: dict[bytes, bytes]) -> Principal | None:
        """The caller of a request with these headers, if it was let in with the same ones before."""
        return self._tokens.get(headers.get(b"authorization", b""))

    async def authenticate(self, headers: dict[bytes, bytes]) -> Principal:
        """The caller of a request with these headers. Raises Problem (401), and LedgerError while nothing is loaded."""
        if known := self.met(headers):
            return known
        authorization = headers.get(b"authorization", b"")
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise unauthenticated("Send an API key in the header Authorization: Bearer <key>.")
        token = token.strip()
        if self._jwts is not None and token.count(b".") == 2:
            return await self._jwts.principal(token)
        text = token.decode("latin-1")
        prefix = key_prefix(text)
        if prefix is None:
            raise unauthenticated("This is not an API key of this service.", "invalid_token")
        if prefix not in self._by_prefix:
            await self._load_soon()
        expected, principal = self._by_prefix.get(prefix, ("", None))
        if not compare_digest(key_hash(text), expected) or principal is None:
            raise unauthenticated("This API key is not known, or was revoked.", "invalid_token")
        if len(self._tokens) >= self._settings.tokens_max:
            self._tokens.clear()
        self._tokens[authorization] = principal
        return principal

    def known(self, headers: dict[bytes, bytes]) -> str:
        """The client of these headers if it was let in before; "" for everybody else, who share a turn."""
        principal = self.met(headers)
        if principal is None and self._jwts is not None:
            principal = self._jwts.met(headers.get(b"authorization", b"").partition(b" ")[2].strip())
        return principal.client if principal else ""

    async def run(self) -> None:
        """Keep the copy, and an issuer's keys, fresh until cancelled; who is away leaves the last copy in place."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            if self._jwts is not None:
                group.create_task(self._jwts.keys.run())

    async def _follow(self) -> None:
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
        named: dict[str, Client] = {}
        for policy in await self._ledger.policies("client"):
            try:
                client = _decode_client(policy.body)
            except DecodeError as error:
                log.error("a client's policy cannot be read", client=policy.id, error=str(error))
                continue
            if not policy.deleted:
                named[policy.id] = client
            if client.disabled:
                continue
            bounds = frozenset(client.scopes), frozenset(client.channels), frozenset(client.sources)
            for key in client.keys:
                by_prefix[key.prefix] = key.sha256, Principal(policy.id, *bounds, key.prefix, client.quotas)
        if self._jwts is not None and named != self._named:
            self._jwts.forget(named)
        self._by_prefix, self._named = by_prefix, named
        self._tokens = {}
        self._version = version
        self._loaded_at = time.monotonic()


def _jwts(settings: JwtSettings) -> "Tokens":
    """Imported only where tokens are taken: the cryptography behind it costs every start a tenth of a second."""
    from atp.api.access.tokens import Tokens

    return Tokens(settings, {})
