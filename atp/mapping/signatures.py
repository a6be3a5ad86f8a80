"""Is a webhook really from whom it says? Keyed hashes of the raw body, as vendors send them in a header."""

import hmac
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from typing import NoReturn

from atp.mapping.reasons import wrong
from atp.mapping.spec import Signature

#: What ``signed`` may be made of.
_PIECES = re.compile(r"\{(body|url|timestamp)\}")

#: Signatures in one header; a vendor that changes its secret sends two.
_SIGNATURES_MAX = 8


class SignatureInvalid(Exception):
    """The message is not proven to be from its vendor; the text says why, without the secret or the right signature."""


def check(rule: Signature, key: str = "signature") -> None:
    """Raise Wrong for a rule that proves nothing or cannot be met."""
    pieces = _PIECES.findall(rule.signed)
    if pieces.count("body") != 1:
        wrong(f"{key}.signed", "must hold {body} once, else the body could be anybody's")
    if _PIECES.sub("", rule.signed).count("{"):
        wrong(f"{key}.signed", "may hold {body}, {url} and {timestamp}")
    if rule.pairs and rule.timestamp_header:
        wrong(f"{key}.timestamp_header", 'a header of pairs brings its own "t="')
    if ("timestamp" in pieces) != (rule.pairs or bool(rule.timestamp_header)):
        wrong(f"{key}.signed", "{timestamp} and where it is sent (pairs or timestamp_header) belong together")


def verify(
    rule: Signature, secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, url: str, now: float
) -> None:
    """Raise SignatureInvalid unless one of the secrets (the new one and the old one, while they change) made this.

    ``body`` is what came over the wire, before anybody decoded it; ``url`` what the vendor was told to call;
    ``now`` is in seconds since 1970.
    """
    if not secrets or not all(secrets):
        _invalid(f"no secret is set: {rule.secret}")
    sent = {name.lower(): value for name, value in headers.items()}
    header = sent.get(rule.header.lower())
    if not header:
        _invalid(f"there is no header {rule.header}")
    timestamp, signatures = _pairs(header) if rule.pairs else (sent.get(rule.timestamp_header.lower(), ""), [header])
    if rule.pairs or rule.timestamp_header:
        _check_age(timestamp, rule.tolerance_s, now)
    given = [found for text in signatures[:_SIGNATURES_MAX] if (found := _decoded(rule, text)) is not None]
    if not given:
        _invalid(f"{rule.header} holds no {rule.encoding} signature{f' behind {rule.prefix}' if rule.prefix else ''}")
    signed = _signed(rule.signed, body, url, timestamp)
    right = [hmac.digest(secret, signed, rule.algorithm) for secret in secrets]
    # Every pair is compared, so that the time taken tells nothing.
    if not sum(hmac.compare_digest(one, other) for one in given for other in right):
        _invalid(f"{rule.header} does not match the message")


def _pairs(header: str) -> tuple[str, list[str]]:
    """The timestamp and all signatures of ``t=1700000000,v1=…,v1=…``."""
    pairs = [piece.strip().partition("=") for piece in header.split(",")]
    return next((value for name, _, value in pairs if name == "t"), ""), [v for name, _, v in pairs if name == "v1"]


def _check_age(timestamp: str, tolerance_s: int, now: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        _invalid("the timestamp is missing or no number of seconds")
    apart = now - int(timestamp)
    if abs(apart) > tolerance_s:
        what = "old" if apart > 0 else "ahead of the clock"
        _invalid(f"the timestamp is {abs(apart):.0f} s {what}; at most {tolerance_s} s are let through")


def _decoded(rule: Signature, text: str) -> bytes | None:
    text = text.strip()
    if not text.startswith(rule.prefix):
        return None
    text = text[len(rule.prefix) :]
    try:
        return bytes.fromhex(text) if rule.encoding == "hex" else b64decode(text, validate=True)
    except (ValueError, Base64Error):
        return None


def _signed(template: str, body: bytes, url: str, timestamp: str) -> bytes:
    pieces = {"body": body, "url": url.encode(errors="replace"), "timestamp": timestamp.encode()}
    parts = _PIECES.split(template)  # literals and names take turns
    return b"".join(pieces[part] if n % 2 else part.encode() for n, part in enumerate(parts))


def _invalid(reason: str) -> NoReturn:
    raise SignatureInvalid(reason)
