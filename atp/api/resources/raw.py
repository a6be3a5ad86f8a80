"""Vendors' webhooks: kept as they came, proven by their signature, made canonical behind the door."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, json

from atp.api.call import Answer, Call
from atp.api.problems import (
    FORBIDDEN,
    NOT_FOUND,
    OUTCOME_UNKNOWN,
    SIGNATURE_INVALID,
    STREAM_UNAVAILABLE,
    TOO_LARGE,
    Problem,
    invalid,
)
from atp.api.service import RawDoor, Service
from atp.domain.posted import MappingUnknown, SignatureWrong, SourceNotAllowed, StreamAway, StreamUncertain

_SCOPES = ("stock:write",)

_encode = json.Encoder().encode


class RawView(Struct):
    """The message is kept; what its mapping cannot read becomes a dead letter."""

    status: Literal["accepted"]
    stream_sequence: Annotated[int, Meta(description="Its place in the stream of vendors' messages.")]


async def post_raw(service: Service, call: Call) -> Answer:
    """Take a vendor's message for `{source}`, to be read by `{mapping}`.

    Where the mapping has a rule for signatures and its secret is set, the signature is the proof, and speaks for the
    sources that the deployment lists. Everybody else needs a key with the scope stock:write. Vendors may send a message
    any number of times: its events count once.
    """
    if service.raw is None:
        raise Problem(STREAM_UNAVAILABLE, "This process has no NATS: ATP_NATS_URL is not set.")
    mapping, source = call.param("mapping"), call.param("source")
    if any(c in ".*>" or c.isspace() for c in source):
        raise invalid("A source in a subject has no dot, star, > or space.", parameter="source")
    try:
        return await _take(service, service.raw, call, mapping, source)
    except MappingUnknown:
        raise Problem(NOT_FOUND, "There is no mapping of this name.") from None
    except SignatureWrong as error:
        raise Problem(SIGNATURE_INVALID, f"The signature is not valid: {error}.") from None
    except SourceNotAllowed:
        setting = f"ATP_WEBHOOK_SOURCES_{mapping.upper().replace('-', '_')}"
        detail = f"Signatures of {mapping} may not speak for {source}; {setting} lists the sources."
        raise Problem(FORBIDDEN, detail) from None
    except StreamAway as error:
        raise Problem(STREAM_UNAVAILABLE, f"Nothing was stored: {error}.") from None
    except StreamUncertain as error:
        raise Problem(OUTCOME_UNKNOWN, f"It may be stored or not: {error}. Send it again: it counts once.") from None


async def _take(service: Service, door: RawDoor, call: Call, mapping: str, source: str) -> Answer:
    signs = door.signs(mapping)
    if not signs:  # before the body is read
        call.principal = await service.clients.authenticate(call.headers)
        call.principal.require(_SCOPES)
        if not call.principal.speaks_for(source):
            raise Problem(FORBIDDEN, f"This client may not speak for {source}.")
    body = await call.raw(service.settings.raw_max_bytes)
    if not body:
        raise invalid("The body is empty.", pointer="")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers.items()}
    if signs:
        door.check(mapping, source, headers, body, _url(service, call))
    try:
        stored = await door.store(mapping, source, headers, body, call.whole_cause())
    except ValueError as error:
        raise Problem(TOO_LARGE, str(error)) from None
    return Answer(202, _encode(RawView("accepted", stored)))


def _url(service: Service, call: Call) -> str:
    """What the vendor was told to call."""
    base = service.settings.public_url.rstrip("/")
    return (base or "https://" + call.headers.get(b"host", b"").decode("latin-1")) + call.path.decode("latin-1")
