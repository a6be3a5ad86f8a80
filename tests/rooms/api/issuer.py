"""A token issuer for the tests: an HTTP server with a key set, counted requests, and keys to sign with."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from msgspec import json

from atp.api.settings import JwtSettings

ISSUER, AUDIENCE = "https://id.example", "atp"

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
OTHER = ec.generate_private_key(ec.SECP256R1())

KEYS: dict[str, tuple[Any, str, Any]] = {
    "rsa": (RSA, "RS256", RSAAlgorithm),
    "ec": (EC, "ES256", ECAlgorithm),
    "ed": (ED, "EdDSA", OKPAlgorithm),
}


def public(name: str, **more: Any) -> dict[str, Any]:
    """The key's place in the key set."""
    key, _, algorithm = KEYS[name]
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name, **more}


class Issuer:
    """Counts who asks; ``document`` is what it answers, with ``status`` and after ``delay_s``."""

    def __init__(self) -> None:
        self.url = ""
        self.document: Any = {"keys": [public(kid) for kid in KEYS]}
        self.status = 200
        self.delay_s = 0.0
        self.asked = 0

    def settings(self, **more: Any) -> JwtSettings:
        return JwtSettings(ISSUER, AUDIENCE, f"{self.url}/jwks.json", **more)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await asyncio.sleep(self.delay_s)
            body = self.document if isinstance(self.document, bytes) else json.encode(self.document)
            writer.write(
                f"HTTP/1.1 {self.status} x\r\nlocation: /other\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            )
            writer.write(body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()  # also when the test ends first: before 3.13, asyncio leaves that to us


@contextlib.asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    """An issuer on this machine."""
    issuer = Issuer()
    server = await asyncio.start_server(issuer.answer, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield issuer
    finally:
        server.close()


def claims(**changes: Any) -> dict[str, Any]:
    """Of a good token; a change to None takes a claim away."""
    now = int(time.time())
    good = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "shop-7", "exp": now + 300, "nbf": now - 1,
        "scope": "openid availability:read reservations:write",
    }  # fmt: skip
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(kid: str = "ec", *, key: Any = None, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token signed with the key of that name, or with another."""
    private, algorithm, _ = KEYS.get(kid, KEYS["ec"])
    return jwt.encode(claims(**changes), key or private, algorithm, {"kid": kid, **(headers or {})})
