"""Signatures of webhooks: the vendors' forms, and everything that must not pass."""

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from atp.config import ConfigError, unknown, webhook_secrets
from atp.mapping import SignatureInvalid, load, verify
from atp.mapping.spec import Signature

BODY = b'{"available": 37}'
URL = "https://shop.example/v1/stock/raw/square/square-ams"
NOW = 1_795_166_043.0


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    name = rule_of("shopify").secret
    assert webhook_secrets(name, {}) == []
    assert webhook_secrets(name, {name: "k"}) == [b"k"]
    (tmp_path / "secret").write_text("new\nold\n")
    assert webhook_secrets(name, {f"{name}_FILE": str(tmp_path / "secret")}) == [b"new", b"old"]
    assert unknown({name: "k", f"{name}_FILE": "x"}) == []
    with pytest.raises(ConfigError, match="their names begin with"):
        webhook_secrets("ATP_API_KEY", {"ATP_API_KEY": "k"})


def mac(secret: bytes, signed: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.digest(secret, signed, algorithm)


def rule_of(name: str) -> Signature:
    rule = load(name).spec.signature
    assert rule
    return rule


def test_shopify_signs_the_raw_body() -> None:
    headers = {"x-shopify-hmac-sha256": base64.b64encode(mac(b"k", BODY)).decode()}
    verify(rule_of("shopify"), [b"k"], headers, BODY, URL, NOW)
    verify(rule_of("shopify"), [b"new", b"k"], headers, BODY, URL, NOW)
    with pytest.raises(SignatureInvalid, match="does not match"):
        verify(rule_of("shopify"), [b"k"], headers, BODY + b" ", URL, NOW)
    with pytest.raises(SignatureInvalid, match="does not match"):
        verify(rule_of("shopify"), [b"other"], headers, BODY, URL, NOW)


def test_square_signs_the_url_and_the_body() -> None:
    headers = {"X-Square-HmacSha256-Signature": base64.b64encode(mac(b"k", URL.encode() + BODY)).decode()}
    verify(rule_of("square"), [b"k"], headers, BODY, URL, NOW)
    with pytest.raises(SignatureInvalid):
        verify(rule_of("square"), [b"k"], headers, BODY, URL + "/", NOW)


def test_hex_behind_a_prefix() -> None:
    rule = Signature("X-Sig", "S", encoding="hex", prefix="sha256=")
    verify(rule, [b"k"], {"x-sig": "sha256=" + mac(b"k", BODY).hex()}, BODY, URL, NOW)
    with pytest.raises(SignatureInvalid, match="no hex signature behind sha256="):
        verify(rule, [b"k"], {"x-sig": mac(b"k", BODY).hex()}, BODY, URL, NOW)


PAIRS = Signature("X-Sig", "S", encoding="hex", pairs=True, signed="{timestamp}.{body}")


def stamped(at: float, secret: bytes = b"k") -> dict[str, str]:
    return {"X-Sig": f"t={at:.0f},v1={'0' * 64},v1={mac(secret, b'%d.' % at + BODY).hex()}"}


def test_a_timestamp_limits_how_long_a_message_is_good_for() -> None:
    verify(PAIRS, [b"k"], stamped(NOW), BODY, URL, NOW + 299)
    with pytest.raises(SignatureInvalid, match="301 s old"):
        verify(PAIRS, [b"k"], stamped(NOW), BODY, URL, NOW + 301)
    with pytest.raises(SignatureInvalid, match="ahead of the clock"):
        verify(PAIRS, [b"k"], stamped(NOW), BODY, URL, NOW - 301)
    moved = {"X-Sig": stamped(NOW)["X-Sig"].replace(f"t={NOW:.0f}", f"t={NOW + 200:.0f}")}
    with pytest.raises(SignatureInvalid, match="does not match"):
        verify(PAIRS, [b"k"], moved, BODY, URL, NOW + 301)


def test_a_timestamp_in_a_header_of_its_own() -> None:
    rule = Signature(
        "X-Sig", "S", encoding="hex", prefix="v0=", timestamp_header="X-Time", signed="v0:{timestamp}:{body}"
    )
    headers = {"X-Time": f"{NOW:.0f}", "X-Sig": "v0=" + mac(b"k", b"v0:%d:" % NOW + BODY).hex()}
    verify(rule, [b"k"], headers, BODY, URL, NOW)


@pytest.mark.parametrize("algorithm", ["sha1", "sha512"])
def test_other_digests(algorithm: str) -> None:
    rule = Signature("X-Sig", "S", algorithm=algorithm, encoding="hex")  # pyright: ignore[reportArgumentType]
    verify(rule, [b"k"], {"X-Sig": hmac.new(b"k", BODY, getattr(hashlib, algorithm)).hexdigest()}, BODY, URL, NOW)


@pytest.mark.parametrize(
    ("headers", "secrets", "told"),
    [
        ({}, [b"k"], "there is no header X-Sig"),
        ({"X-Sig": ""}, [b"k"], "there is no header X-Sig"),
        ({"X-Sig": "v1=00"}, [b"k"], "the timestamp is missing"),
        ({"X-Sig": "t=now,v1=00"}, [b"k"], "the timestamp is missing"),
        ({"X-Sig": f"t={NOW:.0f}"}, [b"k"], "holds no hex signature"),
        ({"X-Sig": f"t={NOW:.0f},v1=zz"}, [b"k"], "holds no hex signature"),
        ({"X-Sig": f"t={NOW:.0f},v1="}, [b"k"], "does not match"),
        (stamped(NOW), [], "no secret is set: S"),
        (stamped(NOW, b""), [b""], "no secret is set: S"),
    ],
)
def test_what_proves_nothing(headers: dict[str, str], secrets: list[bytes], told: str) -> None:
    with pytest.raises(SignatureInvalid, match=told):
        verify(PAIRS, secrets, headers, BODY, URL, NOW)
