"""Tokens of another issuer: which are taken, and what a flood of others costs."""

import asyncio
import base64
import hashlib
import hmac
import time
import warnings
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from msgspec import json, structs

from atp.api import ApiSettings
from atp.api.access.identity import Clients
from atp.api.access.jwks import FetchFailed, Keys, get
from atp.api.access.tokens import Tokens
from atp.api.problems import Problem
from atp.domain.commands import PutPolicy
from atp.domain.keys import Client
from tests.support import wait_until_async

from .conftest import Api, assert_problem, served
from .issuer import KEYS, OTHER, RSA, Issuer, claims, issuing, public, token

pytestmark = pytest.mark.anyio


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as issuer:
        yield issuer


async def caller(tokens: Tokens, text: str) -> str:
    """The client, or the code and what is wrong."""
    try:
        return (await tokens.principal(text.encode())).client
    except Problem as problem:
        return f"{problem.kind.code}: {problem.detail}"


async def accepted(issuer: Issuer, text: str, **settings: Any) -> bool:
    return (await caller(Tokens(issuer.settings(**settings), {}), text)) == "jwt:shop-7"


@pytest.mark.parametrize("kid", KEYS)
async def test_a_good_token(issuer: Issuer, kid: str) -> None:
    principal = await Tokens(issuer.settings(), {}).principal(
        token(kid, atp_channels=["web"], atp_sources="erp").encode()
    )
    assert principal.client == "jwt:shop-7"
    assert principal.scopes == {"availability:read", "reservations:write"}  # openid is none of ours
    assert (principal.channels, principal.sources) == ({"web"}, {"erp"})


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.encode(value)).decode().rstrip("=")


def signed_with_hmac(secret: bytes, alg: str = "HS256", kid: str = "rsa") -> str:
    """What a mix of HS and RS would take: a signature made with the public key."""
    head = f"{part({'alg': alg, 'kid': kid})}.{part(claims())}"
    signature = hmac.new(secret, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def forged() -> dict[str, str]:
    now, pem = int(time.time()), RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    good = token("rsa")
    head, body, signature = good.split(".")
    return {
        "alg none": f"{part({'alg': 'none', 'kid': 'rsa'})}.{body}.",
        "alg None": f"{part({'alg': 'None', 'kid': 'rsa'})}.{body}.{signature}",
        "hmac with the public key": signed_with_hmac(pem),
        "hmac said to be RS256": signed_with_hmac(pem, "RS256"),
        "PS256 of the same key": token("rsa", headers={"alg": "PS256"}),
        "ES256 with an RSA key's name": f"{part({'alg': 'ES256', 'kid': 'rsa'})}.{body}.{signature}",
        "another key": token(key=OTHER),
        "changed claims": f"{head}.{part(claims(scope='admin'))}.{signature}",
        "no signature": f"{head}.{body}.",
        "no kid": f"{part({'alg': 'RS256'})}.{body}.{signature}",
        "kid that is a list": f"{part({'alg': 'RS256', 'kid': ['rsa']})}.{body}.{signature}",
        "kid too long": token(headers={"kid": "x" * 201}),
        "kid empty": token(headers={"kid": ""}),
        "critical headers": token(headers={"crit": ["b64"], "b64": True}),
        "b64 false": token(headers={"b64": False}),
        "expired": token(exp=now - 60),
        "exp in words": token(exp="tomorrow"),
        "exp that is huge": token(exp=10**400),
        "no exp": token(exp=None),
        "not yet": token(nbf=now + 120),
        "no nbf": token(nbf=None),
        "another issuer": token(iss="https://other.example"),
        "no issuer": token(iss=None),
        "another audience": token(aud="shop"),
        "no audience": token(aud=None),
        "no client": token(sub=None),
        "a client with NUL": token(sub="a\x00"),
        "channels that are none": token(atp_channels=[]),
        "channels that are numbers": token(atp_channels=[1]),
        "channels in an object": token(atp_channels={"web": True}),
        "channels null": jwt_with_null("atp_channels"),
        "sources with NUL": token(atp_sources=["\x00"]),
        "scopes in an object": token(scope={"admin": True}),
        "deep header": base64.urlsafe_b64encode(b'{"a":' * 1000).decode().rstrip("=") + f".{body}.{signature}",
        "too large": token(more="x" * 9000),
        "not base64": "a.b.c",
        "empty": "..",
        "a claim that is no object": f"{head}.{part([])}.{signature}",
    }


def jwt_with_null(claim: str) -> str:
    return jwt.encode({**claims(), claim: None}, KEYS["ec"][0], "ES256", {"kid": "ec"})


@pytest.mark.parametrize("name", forged())
async def test_a_token_that_is_none(issuer: Issuer, name: str) -> None:
    said = await caller(Tokens(issuer.settings(), {}), forged()[name])
    assert said.startswith("unauthenticated: This token is not accepted"), said


async def test_a_minute_of_grace_at_most(issuer: Issuer) -> None:
    now = int(time.time())
    assert await accepted(issuer, token(exp=now - 5))
    assert not await accepted(issuer, token(exp=now - 60))
    assert issuer.settings().leeway_s <= 60


async def test_keys_come_from_one_place(issuer: Issuer) -> None:
    """What a header names is never asked, and a key that it brings verifies nothing."""
    async with issuing() as other:
        other.document = {"keys": [public("ec", kid="mine")]}
        where = {"jku": f"{other.url}/jwks.json", "x5u": f"{other.url}/cert", "jwk": public("ec", kid="mine")}
        assert not await accepted(issuer, token(headers={"kid": "mine", **where}))
        assert other.asked == 0
        assert await accepted(issuer, token(headers=where))  # nothing of it is read
        assert other.asked == 0


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct", "k": "c2VjcmV0"}, {"use": "enc"}, {"alg": "RS512"}, {"kid": None}, {"kid": "x" * 201},
        {"n": "AQAB"}, {"n": 5}, {"crv": "P-256", "kty": "EC"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_key_that_verifies_nothing_is_skipped(issuer: Issuer, change: dict[str, Any]) -> None:
    issuer.document = {"keys": [{**public("rsa"), **change}, public("ec"), {}]}
    tokens = Tokens(issuer.settings(), {})
    assert await caller(tokens, token("rsa")) != "jwt:shop-7"
    assert await caller(tokens, token("ec")) == "jwt:shop-7"


async def test_a_short_rsa_key_is_skipped(issuer: Issuer) -> None:
    short = rsa.generate_private_key(65537, 1024)
    issuer.document = {"keys": [{**RSAAlgorithm.to_jwk(short.public_key(), as_dict=True), "kid": "s"}, public("ec")]}
    with warnings.catch_warnings(action="ignore"):  # of the length
        text = token("rsa", key=short, headers={"kid": "s"})
    assert not await accepted(issuer, text)


async def test_ten_thousand_random_kids_cost_one_fetch(issuer: Issuer) -> None:
    tokens, good = Tokens(issuer.settings(), {}), token()
    assert await caller(tokens, good) == "jwt:shop-7"
    _, body, signature = good.split(".")
    unknown = [f"{part({'alg': 'ES256', 'kid': f'k{n}'})}.{body}.{signature}" for n in range(10_000)]
    fresh = [token(sub="shop-7", jti=str(n)) for n in range(20)]
    began, said = time.monotonic(), []
    for start in range(0, 10_000, 500):
        said += await asyncio.gather(*(caller(tokens, text) for text in unknown[start : start + 500]))
        assert await caller(tokens, fresh[start // 500]) == "jwt:shop-7"  # others go on, seen before or not
        assert await caller(tokens, good) == "jwt:shop-7"
    assert all(text.startswith("unauthenticated") for text in said)
    assert issuer.asked == tokens.keys.fetches <= 1 + (time.monotonic() - began) // 30


async def test_a_new_key_is_fetched_when_it_is_first_used(issuer: Issuer) -> None:
    issuer.document = {"keys": [public("rsa")]}
    tokens = Tokens(issuer.settings(refetch_s=0.05), {})
    assert await caller(tokens, token("rsa")) == "jwt:shop-7"
    issuer.document = {"keys": [public("ec")]}
    await asyncio.sleep(0.06)
    said = await asyncio.gather(*(caller(tokens, token("ec")) for _ in range(50)))
    assert set(said) == {"jwt:shop-7"}
    assert issuer.asked == 2
    assert (await caller(tokens, token("rsa"))).startswith("unauthenticated")  # the issuer took it back


@pytest.mark.parametrize(
    "change",
    [
        {"status": 500}, {"status": 302}, {"document": b"<html>"}, {"document": {"keys": []}}, {"document": {}},
        {"document": {"keys": [public("rsa", use="enc")]}}, {"document": b'{"keys":[' + b" " * 300_000 + b"]}"},
        {"document": b'{"keys":' + b"[" * 100_000}, {"delay_s": 60.0},
    ],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
async def test_the_last_good_keys_stay(issuer: Issuer, change: dict[str, Any]) -> None:
    tokens = Tokens(issuer.settings(refetch_s=0.0), {})
    assert await caller(tokens, token("rsa")) == "jwt:shop-7"
    if "delay_s" in change:
        tokens.keys._settings = issuer.settings(refetch_s=0.0, fetch_timeout_s=0.2)
    for name, value in change.items():
        setattr(issuer, name, value)
    assert (await caller(tokens, token("ec", headers={"kid": "new"}))).startswith("unauthenticated")
    assert issuer.asked == 2
    assert await caller(tokens, token("rsa", jti="2")) == "jwt:shop-7"


async def test_an_issuer_that_was_never_there(issuer: Issuer) -> None:
    issuer.status = 503
    tokens = Tokens(issuer.settings(), {})
    assert (await caller(tokens, token())).startswith("issuer-unavailable")


async def test_a_slow_issuer_stops_nobody_else(issuer: Issuer) -> None:
    """The fetch waits on the loop and not in it: who is known goes on meanwhile."""
    tokens, good = Tokens(issuer.settings(refetch_s=0.0, fetch_timeout_s=60.0), {}), token()
    await caller(tokens, good)
    issuer.delay_s = 60.0
    waiting = asyncio.create_task(caller(tokens, token(headers={"kid": "new"})))
    await wait_until_async(lambda: issuer.asked == 2)
    for _ in range(100):
        assert await caller(tokens, good) == "jwt:shop-7"
    assert not waiting.done()
    waiting.cancel()
    assert tokens.keys.fetches == 2


async def test_checks_of_signatures_are_bounded(issuer: Issuer) -> None:
    tokens, good = Tokens(issuer.settings(checks_per_s=2.0), {}), token()
    forged = [token(key=OTHER, jti=str(n)) for n in range(60)]
    assert await caller(tokens, good) == "jwt:shop-7"
    began = time.monotonic()
    said = [await caller(tokens, text) for text in forged]
    checked = sum(not text.startswith("overloaded") for text in said)
    assert checked <= 2 * (1 + time.monotonic() - began)
    assert await caller(tokens, good) == "jwt:shop-7"  # who is known pays a look-up


async def test_a_verified_token_ends_with_its_time(issuer: Issuer) -> None:
    tokens, text = Tokens(issuer.settings(leeway_s=0), {}), ""

    async def is_known() -> bool:
        """In good time: on a machine that stands still it ends before it is looked at."""
        nonlocal text
        text = token(exp=int(time.time()) + 2)
        return await caller(tokens, text) == "jwt:shop-7"

    async def is_over() -> bool:
        return (await caller(tokens, text)).startswith("unauthenticated")

    await wait_until_async(is_known, description="it is verified")
    await wait_until_async(is_over, description="it has expired")


async def test_no_more_tokens_are_remembered_than_there_may_be(issuer: Issuer) -> None:
    tokens = Tokens(issuer.settings(tokens_max=5), {})
    for n in range(20):
        assert await caller(tokens, token(jti=str(n))) == "jwt:shop-7"
    assert len(tokens._verified) == 5


async def test_an_issuer_without_nbf(issuer: Issuer) -> None:
    now = int(time.time())
    assert await accepted(issuer, token(nbf=None, iat=now), nbf="iat")
    assert not await accepted(issuer, token(nbf=None, iat=now + 300), nbf="iat")
    assert not await accepted(issuer, token(nbf=now + 300, iat=now), nbf="iat")
    assert not await accepted(issuer, token(nbf=None), nbf="iat")


async def test_claims_of_other_names(issuer: Issuer) -> None:
    names = {"client_claim": "azp", "scopes_claim": "roles", "channels_claim": "brands", "sources_claim": "systems"}
    text = token(sub=None, scope=None, azp="shop", roles=["admin"], brands=["b"], systems=["s"])
    principal = await Tokens(issuer.settings(**names), {}).principal(text.encode())
    assert (principal.client, principal.scopes) == ("jwt:shop", {"admin"})
    assert (principal.channels, principal.sources) == ({"b"}, {"s"})


async def test_an_admin_may_disable_a_client_of_tokens(issuer: Issuer) -> None:
    tokens = Tokens(issuer.settings(), {})
    assert await caller(tokens, token()) == "jwt:shop-7"
    tokens.forget({"jwt:shop-7": Client(["admin"], disabled=True)})
    assert (await caller(tokens, token())).startswith("unauthenticated")
    tokens.forget({"jwt:shop-7": Client(["admin"])})
    assert (await tokens.principal(token().encode())).scopes == {"availability:read", "reservations:write"}


async def test_what_a_fetch_may_answer(issuer: Issuer) -> None:
    issuer.document = b"x" * 300_000
    with pytest.raises(FetchFailed, match="bytes"):
        await get(issuer.url)
    issuer.document, issuer.status = b"{}", 301
    with pytest.raises(FetchFailed, match="301"):
        await get(issuer.url)
    assert issuer.asked == 2  # it went nowhere else
    away = structs.replace(issuer.settings(), jwks_url="http://127.0.0.1:1/")
    assert await Keys(away).find("x") is None


async def test_over_http(issuer: Issuer, valkey: str, namespace: str) -> None:
    settings = ApiSettings(lame_duck_s=0, jwt=issuer.settings())
    async with served(valkey, namespace, settings) as api:
        await api.stock("A", 9)
        text = token("rsa", atp_channels=["web"])
        first = await api.reserve("A", key=text, body={"channel": "web"})
        assert first.status_code == 201
        assert_problem(await api.reserve("A", key=text), 403, "channel-not-allowed")
        assert_problem(await api.send("GET", "/v1/locations", key=text), 403, "forbidden")
        refused = await api.send("GET", "/v1/availability/A", key=token(key=OTHER))
        problem = assert_problem(refused, 401, "unauthenticated")
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        assert "shop-7" not in problem["detail"]
        assert (await api.send("GET", f"/v1/reservations/{first.json()['id']}", key=text)).status_code == 200
        assert (await api.send("GET", "/v1/availability/A")).status_code == 200  # keys work beside them


async def test_half_a_character_is_no_name(issuer: Issuer, valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, ApiSettings(lame_duck_s=0, jwt=issuer.settings())) as api:
        await api.stock("A", 9)
        halves: list[dict[str, Any]] = [{"sub": "a\ud800"}, {"atp_channels": ["\ud800"]}, {"atp_sources": ["\ud800"]}]
        for changed in halves:
            assert_problem(await api.reserve("A", key=token(**changed)), 401, "unauthenticated")


async def test_whose_token_was_verified_is_no_stranger(issuer: Issuer, valkey: str, namespace: str) -> None:
    """To admission: strangers share one turn in its lines, and waiting rooms do not hear of what they are refused."""
    async with served(valkey, namespace) as api:
        clients = Clients(api.ledger, ApiSettings(jwt=issuer.settings()))
        await clients.run_once()
        given, forged = ({b"authorization": b"Bearer " + token(key=key).encode()} for key in (None, OTHER))
        assert clients.known(given) == ""
        await clients.authenticate(given)
        assert clients.known(given) == "jwt:shop-7"
        assert clients.known(forged) == clients.known({}) == ""
        await api.ledger.put_policy(PutPolicy("client", "jwt:shop-7", '{"scopes":[],"disabled":true}'))
        await clients.run_once()
        assert clients.known(given) == ""


async def test_without_an_issuer_no_token_is_taken(api: Api) -> None:
    assert_problem(await api.send("GET", "/v1/availability/A", key=token()), 401, "unauthenticated")
