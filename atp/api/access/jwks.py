"""The keys of a token issuer (JWKS, RFC 7517): fetched beside the requests, kept while the issuer is away.

An unknown ``kid`` may be a new key, so it leads to a fetch, but to one in half a minute whatever callers send. What a
fetch brings replaces what was there: a key that the issuer took back verifies nothing any more. One that fails, or
brings no usable key, changes nothing.
"""

import asyncio
import io
import ssl
import time
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from msgspec import DecodeError, Struct, json

from atp.api.settings import JwtSettings

log = structlog.get_logger("atp.api")

#: The only algorithms there are, by what kind of key verifies them: a header never chooses (RFC 8725 §2.1).
ALGORITHMS = {("RSA", ""): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}

#: Characters of a ``kid``.
KID_MAX = 200

_RSA_MIN_BITS = 2048
_ANSWER_MAX_BYTES = 262_144
_KEYS_MAX = 64


class FetchFailed(Exception):
    """The issuer's keys could not be had; the text says why."""


class _Document(Struct):
    keys: list[dict[str, Any]]


class Keys:
    """The issuer's keys by ``kid``. ``version`` grows with every change of them."""

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings
        self._keys: dict[str, PyJWK] = {}
        self._raw: list[dict[str, Any]] = []
        self._fetching: asyncio.Task[None] | None = None
        self._fetched_at = float("-inf")
        self.version = 0
        self.fetches = 0

    @property
    def loaded(self) -> bool:
        """Whether there was ever a key."""
        return bool(self._keys)

    async def find(self, kid: str) -> PyJWK | None:
        """The key of this name; waits for a fetch if it may bring it."""
        if found := self._keys.get(kid):
            return found
        if self._may_fetch():
            self._begin()
        if self._fetching is not None:
            await asyncio.wait((self._fetching,))  # it has its own timeout, and nobody who waits ends it
        return self._keys.get(kid)

    async def run(self) -> None:
        """Fetch now and then until cancelled, so that keys that were taken back go."""
        try:
            while True:
                if self._may_fetch():
                    self._begin()
                await asyncio.sleep(self._settings.refresh_s if self.loaded else self._settings.refetch_s)
        finally:
            if self._fetching is not None:
                self._fetching.cancel()

    def _may_fetch(self) -> bool:
        return self._fetching is None and time.monotonic() - self._fetched_at >= self._settings.refetch_s

    def _begin(self) -> None:
        self._fetched_at = time.monotonic()
        self.fetches += 1
        self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._settings.fetch_timeout_s):
                self._take(await get(self._settings.jwks_url))
        except (FetchFailed, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            log.warning("the token issuer's keys could not be fetched", error=reason, known=len(self._keys))
        finally:
            self._fetching = None

    def _take(self, body: bytes) -> None:
        try:
            raw = json.decode(body, type=_Document).keys[:_KEYS_MAX]
        except (DecodeError, RecursionError) as error:
            raise FetchFailed(f"no key set: {error}") from None
        keys = {jwk["kid"]: key for jwk in raw if (key := _key(jwk))}
        if not keys:
            raise FetchFailed("no usable key in the key set")
        if raw != self._raw:
            self._keys, self._raw = keys, raw
            self.version += 1


def _key(jwk: dict[str, Any]) -> PyJWK | None:
    """A key that may verify tokens; None for every other."""
    kid, kty = jwk.get("kid"), jwk.get("kty")
    algorithm = ALGORITHMS.get((str(kty), "" if kty == "RSA" else str(jwk.get("crv"))))
    if not isinstance(kid, str) or not 0 < len(kid) <= KID_MAX or algorithm is None:
        return None
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(jwk, algorithm)
    except (PyJWTError, ValueError, TypeError):
        return None
    if kty == "RSA" and key.key.key_size < _RSA_MIN_BITS:
        return None
    return key


async def get(url: str) -> bytes:
    """The body at a URL of bounded size. No redirects. Raises FetchFailed, OSError; the caller limits the time."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    context = ssl.create_default_context() if secure else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context, limit=_ANSWER_MAX_BYTES)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nAccept: application/json\r\n"
        writer.write(f"{head}User-Agent: atp\r\nConnection: close\r\n\r\n".encode())
        raw = b""
        while len(raw) <= _ANSWER_MAX_BYTES and (part := await reader.read(65_536)):
            raw += part
    finally:
        writer.transport.abort()
    if len(raw) > _ANSWER_MAX_BYTES:
        raise FetchFailed(f"more than {_ANSWER_MAX_BYTES} bytes")
    return _body(raw)


class _Raw:
    """What HTTPResponse takes for a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._raw)


def _body(raw: bytes) -> bytes:
    response = HTTPResponse(_Raw(raw))  # pyright: ignore[reportArgumentType] - all it does with it is makefile
    try:
        response.begin()
        if response.status != 200:
            raise FetchFailed(f"status {response.status}")
        return response.read()
    except (HTTPException, ValueError) as error:
        raise FetchFailed(f"not an HTTP answer: {type(error).__name__}") from None
