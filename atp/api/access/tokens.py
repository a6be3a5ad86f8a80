"""Bearer tokens of another issuer (JWT, RFC 7519), verified with its published keys (RFC 8725).

What a token must have: a signature by a key of the issuer under that key's one algorithm; ``iss`` and ``aud`` as
configured; ``exp`` and ``nbf``, with a minute's grace at most. A verified token is remembered by its digest until it
ends, so the hot path pays a look-up; checks of signatures are bounded per second, so forged ones cannot take the
process's time.
"""

import base64
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import jwt
from jwt.exceptions import PyJWTError
from msgspec import DecodeError, Struct, json

from atp.api.access.jwks import ALGORITHMS, KID_MAX, Keys
from atp.api.access.principal import Principal, unauthenticated
from atp.api.problems import ISSUER_UNAVAILABLE, OVERLOADED, Problem
from atp.api.settings import JwtSettings
from atp.domain.identifiers import ID_MAX, REF_MAX, fault
from atp.domain.keys import SCOPES, Client

#: Bytes of a token.
TOKEN_MAX = 8_192

#: Before the name of a client that a token brings, so that it is never one with API keys. An admin may put a client of
#: that name, too: its quotas count, and it can be disabled. What it may do is in its tokens.
CLIENT_PREFIX = "jwt:"

_ANYBODY = Client([])
_CLAIMS = ("exp", "iss", "aud")
_NAMES_MAX = 100


class _Header(Struct):
    """What is read of a header. ``jku``, ``x5u`` and ``jwk`` are nothing to us: keys come from one place."""

    alg: str
    kid: str
    crit: Any = None


_header = json.Decoder(_Header)


class Tokens:
    """Verifies tokens of one issuer."""

    def __init__(self, settings: JwtSettings, known: Mapping[str, Client]) -> None:
        """``known`` are clients of the ledger by name: one that a token names may have quotas, or be disabled."""
        self._settings = settings
        self._known = known
        self.keys = Keys(settings)
        self._verified: dict[bytes, tuple[Principal, float]] = {}  # by digest of the token: caller, until when
        self._version = 0  # of the keys they were verified with
        self._checks = settings.checks_per_s
        self._checked_at = time.monotonic()

    async def principal(self, token: bytes) -> Principal:
        """The caller of a token. Raises Problem (401; 503 while no key was ever fetched, or of too many new tokens)."""
        if known := self.met(token):
            return known
        digest = sha256(token).digest()
        self._verified.pop(digest, None)
        header = _read_header(token)
        key = await self.keys.find(header.kid)
        if key is None:
            if not self.keys.loaded:
                raise Problem(ISSUER_UNAVAILABLE, "The keys of the tokens' issuer could not be fetched yet.")
            raise _refused("its kid names no key of the issuer")
        if header.alg != key.algorithm_name:
            raise _refused("its algorithm is not that of its key")
        self._spend()
        claims = self._claims(token, key)
        principal, until = self._principal(claims), float(claims["exp"]) + self._settings.leeway_s
        self._follow_keys()
        if len(self._verified) >= self._settings.tokens_max:
            self._verified.pop(next(iter(self._verified)))
        self._verified[digest] = principal, until
        return principal

    def met(self, token: bytes) -> Principal | None:
        """The caller of a token that was verified before and is good still."""
        self._follow_keys()
        caller, until = self._verified.get(sha256(token).digest(), (None, 0.0))
        return caller if until > time.time() else None

    def _follow_keys(self) -> None:
        """What was verified with keys that may be gone is not known any more."""
        if self._version != self.keys.version:
            self._verified, self._version = {}, self.keys.version

    def forget(self, known: Mapping[str, Client]) -> None:
        """Verify every token anew: the clients are now these."""
        self._verified, self._known = {}, known

    def _claims(self, token: bytes, key: jwt.PyJWK) -> dict[str, Any]:
        settings = self._settings
        required = [*_CLAIMS, "iat" if settings.nbf == "iat" else "nbf"]
        try:
            claims = jwt.decode(
                token, key, algorithms=sorted(ALGORITHMS.values()), audience=settings.audience, issuer=settings.issuer,
                leeway=settings.leeway_s, options={"require": required, "verify_iat": True},
            )  # fmt: skip
            float(claims["exp"])  # one beyond all floats is no time
            return claims
        except (PyJWTError, ValueError, TypeError, RecursionError, OverflowError) as error:
            raise _refused(_reason(error)) from None

    def _principal(self, claims: dict[str, Any]) -> Principal:
        names = self._settings
        client, scopes = claims.get(names.client_claim), claims.get(names.scopes_claim, "")
        if not isinstance(client, str) or fault(client, REF_MAX):
            raise _refused(f"its claim {names.client_claim} names no client")
        given = scopes.split() if isinstance(scopes, str) else scopes
        if not isinstance(given, list):
            raise _refused(f"its claim {names.scopes_claim} is no list of scopes")
        known = self._known.get(CLIENT_PREFIX + client, _ANYBODY)
        if known.disabled:
            raise _refused("its client is disabled")
        return Principal(
            CLIENT_PREFIX + client,
            frozenset(SCOPES).intersection(scope for scope in given if isinstance(scope, str)),
            _names(claims, names.channels_claim),
            _names(claims, names.sources_claim),
            "jwt",
            known.quotas,
        )

    def _spend(self) -> None:
        """One check of a signature, if this second has one left. Raises Problem (503)."""
        now, most = time.monotonic(), self._settings.checks_per_s
        self._checks = min(most, self._checks + (now - self._checked_at) * most)
        self._checked_at = now
        if self._checks < 1:
            raise Problem(OVERLOADED, "Too many tokens that were not seen before arrive. Nothing was applied.")
        self._checks -= 1


def _read_header(token: bytes) -> _Header:
    if len(token) > TOKEN_MAX:
        raise _refused(f"it has more than {TOKEN_MAX} bytes")
    head = token.partition(b".")[0]
    try:
        header = _header.decode(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except (ValueError, DecodeError, RecursionError):
        raise _refused("its header cannot be read, or has no alg and kid") from None
    if header.crit is not None:
        raise _refused("it has critical headers")
    if not 0 < len(header.kid) <= KID_MAX:
        raise _refused(f"its kid has more than {KID_MAX} characters, or none")
    return header


def _names(claims: dict[str, Any], claim: str) -> frozenset[str]:
    """The names that a claim binds the caller to; none where it is absent. An empty list binds to nothing: refused."""
    if claim not in claims:
        return frozenset()
    given = claims[claim]
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not 0 < len(names) <= _NAMES_MAX:
        raise _refused(f"its claim {claim} is no list of 1 to {_NAMES_MAX} names")
    if any(not isinstance(name, str) or fault(name, ID_MAX) for name in names):
        raise _refused(f"its claim {claim} has a name that cannot be one")
    return frozenset(names)


def _reason(error: Exception) -> str:
    """In words that tell a caller what to mend, and nothing of the token."""
    match error:
        case jwt.ExpiredSignatureError():
            return "it has expired"
        case jwt.ImmatureSignatureError():
            return "its time has not come"
        case jwt.InvalidAudienceError():
            return "it is meant for another audience"
        case jwt.InvalidIssuerError():
            return "it is of another issuer"
        case jwt.MissingRequiredClaimError():
            return f"it has no claim {error.claim}"
        case _:
            return "its signature or its claims are not valid"


def _refused(why: str) -> Problem:
    return unauthenticated(f"This token is not accepted: {why}.", "invalid_token")
