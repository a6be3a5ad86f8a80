"""Call and Answer: one HTTP request as the rooms' plain functions see it, apart from any framework.

Litestar routes and documents; what a route does takes a Call and returns an Answer, so that hot routes can be put in
front of the framework and stay the same code (research/spikes.md §7).
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

from atp.api.patience import patience
from atp.api.problems import (
    BODY_TIMEOUT,
    DEADLINE_TOO_SHORT,
    KEY_MISSING,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    Fault,
    Problem,
    invalid,
)
from atp.api.settings import ApiSettings
from atp.domain.causes import TRACEPARENT, Cause, request_cause
from atp.domain.identifiers import ID_MAX, REF_MAX, fault, text_fault
from atp.domain.sellers import SEPARATOR

if TYPE_CHECKING:
    from atp.api.access.principal import Principal
    from atp.api.access.quotas import Meter

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

#: Characters of an Idempotency-Key.
KEY_MAX = 255

#: Positions that one call names, of all partitions that there may be.
POSITIONS_MAX = 512

#: Characters of query parameters that are something else than one identifier.
_LONGER = {"order_ref": REF_MAX, "about": 3 * ID_MAX, "page_token": 4 * ID_MAX, "min_position": POSITIONS_MAX}

_JSON = b"application/json"

#: The only parameter that may say how the text is encoded (RFC 8259 §8.1); ours to be lenient about, as most are.
_CHARSET = re.compile(rb';\s*charset\s*=\s*"?([^";\s]*)')
_UTF_8 = (b"utf-8", b"utf8")

#: Between several Idempotency-Keys of one request; no header's value can have it.
_TWICE = b"\n"

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class ClientGone(Exception):
    """The client closed the connection before its request was complete; nobody waits for an answer."""


class Answer(Struct, frozen=True):
    """What goes back. ``headers`` are lower case; length, request id and security headers are added outside."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}
    media_type: str = "application/json"
    stream: AsyncGenerator[bytes] | None = None  # the body, while there is more of it


class Call:
    """One request. Headers are looked up by lower-case bytes; path parameters are decoded once, here (R39)."""

    __slots__ = (
        "_limits", "_params", "_query", "headers", "meter", "path", "principal", "receive", "request_id", "state",
    )  # fmt: skip

    def __init__(
        self,
        scope: Mapping[str, Any],
        receive: Receive,
        params: dict[str, str],
        limits: ApiSettings,
        headers: dict[bytes, bytes] | None = None,
    ) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"]) if headers is None else headers
        self.path: bytes = scope["raw_path"]
        self.state: dict[str, Any] = scope["state"]  # what door and admission know of the request
        self.request_id: str = self.state["request_id"]
        self.principal: Principal  # set once the caller is known
        self.meter: Meter | None = None  # what limits the caller here, if anything does
        self._query: bytes = scope["query_string"]
        self._params = params
        self.receive = receive
        self._limits = limits

    @property
    def question(self) -> bytes:
        """Path and query as they came, which are the whole of what a GET asks."""
        return question_of(self.path, self._query)

    @property
    def stop(self) -> asyncio.Event | None:
        """Set when the process is told to end."""
        return self.state.get("stop")

    def param(self, name: str, most: int = ID_MAX) -> str:
        """A path parameter that is an identifier of at most ``most`` characters. Raises Problem (400)."""
        text = self.stored(name, most)
        if wrong := fault(text, most):
            raise invalid(f"{name} {wrong}.", parameter=name)
        return text

    def stored(self, name: str, most: int = ID_MAX) -> str:
        """The same where something kept is meant: its name may be from before white space around names was refused."""
        try:
            text = unquote(self._params[name], errors="strict")
        except UnicodeDecodeError:
            raise invalid(f"{name} is not UTF-8.", parameter=name) from None
        if wrong := text_fault(text, most):
            raise invalid(f"{name} {wrong}.", parameter=name)
        return text

    def query(self, *known: str) -> dict[str, str]:
        """The query's parameters. Unknown or repeated ones are refused: a typo must not change what is answered."""
        if not self._query:
            return {}
        try:
            pairs = parse_qsl(self._query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=32)
        except ValueError:
            raise invalid("The query string cannot be read.") from None
        found: dict[str, str] = {}
        for name, value in pairs:
            if name not in known:
                raise invalid(f"The parameter {name!r} is not known or not supported yet.", parameter=name)
            if name in found:
                raise invalid(f"The parameter {name!r} is given twice.", parameter=name)
            shown = value.replace(SEPARATOR, ":") if name == "about" else value  # a share is named by two names
            if wrong := fault(shown, _LONGER.get(name, ID_MAX)):
                raise invalid(f"{name} {wrong}.", parameter=name)
            found[name] = value
        return found

    def idempotency_key(self) -> str:
        """The required Idempotency-Key. Raises Problem (400)."""
        key = self.headers.get(b"idempotency-key")
        if not key:
            raise Problem(KEY_MISSING, "Send a key of your own, at most 255 printable ASCII characters, and repeat it "
                          "with every retry of this request.")  # fmt: skip
        if len(key) > KEY_MAX or not key.isascii() or not (text := key.decode()).isprintable():
            if _TWICE in key:
                raise invalid("The header Idempotency-Key is given more than once.", header="Idempotency-Key")
            detail = f"Idempotency-Key must be 1 to {KEY_MAX} printable ASCII characters."
            raise Problem(KEY_MISSING, detail, [Fault(detail, header="Idempotency-Key")])
        return text

    @property
    def cause(self) -> str:
        """What entries keep of this call: the key it came with, its id, and its trace (``domain/causes.py``)."""
        return request_cause(self.principal.key, self.request_id, self.trace)

    def cause_for(self, *, exception: str) -> str:
        """The same for what is done about an exception."""
        return Cause("", self.principal.key, self.request_id, self.trace, exception=exception).text()

    def whole_cause(self) -> Cause:
        """The same for what a message carries on: it names the client, since the message's entries will not.

        Who proves a message by its signature is no client.
        """
        principal = getattr(self, "principal", None)
        client, key = (principal.client, principal.key) if principal else ("", "")
        return Cause(client, key, self.request_id, self.trace)

    @property
    def trace(self) -> str:
        """The caller's traceparent, "" if there is none that can be carried on."""
        given = self.headers.get(b"traceparent")
        if given is None:  # as most calls
            return ""
        text = given.decode("latin-1")
        return text if TRACEPARENT.fullmatch(text) else ""

    def deadline(self) -> float | None:
        """Seconds the caller still waits, by X-Request-Timeout-Ms; None if it did not say.

        Refuses a call that could not be answered in time before it has any effect (research/reliability.md §4).
        """
        given = self.headers.get(b"x-request-timeout-ms")
        if given is None:
            return None
        if not given.isdigit() or len(given) > 9:
            raise invalid("X-Request-Timeout-Ms must be a number of milliseconds.", header="X-Request-Timeout-Ms")
        ms = int(given) - int(1000 * self.state.get("waited_s", 0.0))  # for a slot (admission)
        if ms < self._limits.deadline_min_ms:
            raise Problem(DEADLINE_TOO_SHORT, "Nothing was applied: the answer could not have come in time.")
        return min(ms / 1000, self._limits.deadline_max_s)

    async def body(self, *, required: bool = True, limit: int = 0) -> bytes:
        """The JSON body, of bounded size and time. Empty only if it is not ``required``. Raises Problem, ClientGone.

        ``limit`` in bytes takes the place of the usual one.
        """
        raw = await self._read(limit or self._limits.body_max_bytes)
        if not raw:
            if required:
                raise invalid("The body is empty.", pointer="")
            return raw
        media_type = self.headers.get(b"content-type", b"")
        if media_type != _JSON:
            _check_media_type(media_type)
        if b"content-encoding" in self.headers:
            _check_encoding(self.headers[b"content-encoding"])
        return raw

    async def raw(self, limit: int) -> bytes:
        """The body as it came, of bounded size and time, whatever it is. Raises Problem, ClientGone."""
        body = await self._read(limit)
        if b"content-encoding" in self.headers:
            _check_encoding(self.headers[b"content-encoding"])
        return body

    async def _read(self, limit: int) -> bytes:
        length = self.headers.get(b"content-length", b"0")
        try:
            with patience(self._limits.body_timeout_s):
                if not length.isdigit() or (whole := int(length)) > limit:
                    return await self._refuse_body(0, limit)
                message = await self.receive()
                part = message.get("body", b"")
                if len(part) == whole > 0:  # a server that announces more after the last byte is not waited for
                    return part
                return await self._read_on(message, part, whole or -1, limit)
        except TimeoutError:
            raise Problem(BODY_TIMEOUT, "Nothing was applied.", headers={"connection": "close"}) from None

    async def _read_on(self, message: Mapping[str, Any], part: bytes, whole: int, limit: int) -> bytes:
        """What follows the first part of a body in several."""
        parts, size = [part], len(part)
        while True:
            if message["type"] == "http.disconnect":
                raise ClientGone
            if size > limit:
                return await self._refuse_body(size, limit)
            if size == whole or not message.get("more_body", False):
                return b"".join(parts)
            message = await self.receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])

    async def _refuse_body(self, size: int, limit: int) -> bytes:
        """Throw a bounded amount away before answering, so that the client reads a 413 instead of a reset."""
        more = True
        while more and size < self._limits.drain_max_bytes:
            message = await self._next()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        detail = f"The body may have at most {limit} bytes."
        raise Problem(TOO_LARGE, detail, headers={"connection": "close"} if more else None)

    async def _next(self) -> Mapping[str, Any]:
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message


def question_of(path: bytes, query: bytes) -> bytes:
    """What a GET asks: by these bytes its answer is remembered, and found again."""
    return b"%b?%b" % (path, query) if query else path


def joined(scope: MutableMapping[str, Any]) -> dict[bytes, bytes]:
    """Headers of which some are given twice: their lines become one (RFC 9110 §5.3), also in the scope.

    So no line wins silently: a list is a list, and what has to be one value is refused by whoever reads it.
    """
    lines: dict[bytes, list[bytes]] = {}
    for name, line in scope["headers"]:
        lines.setdefault(name, []).append(line)
    headers = {name: (_TWICE if name == b"idempotency-key" else b", ").join(each) for name, each in lines.items()}
    scope["headers"] = list(headers.items())
    return headers


def _check_media_type(given: bytes) -> None:
    """Raises Problem (415) for what is not JSON in UTF-8."""
    given = given.lower()
    if given.partition(b";")[0].strip() != _JSON:
        raise _unsupported("Send JSON with the header Content-Type: application/json.", "Content-Type")
    if any(charset not in _UTF_8 for charset in _CHARSET.findall(given)):
        raise _unsupported("Send JSON in UTF-8, and no other charset.", "Content-Type")


def _check_encoding(given: bytes) -> None:
    """A compressed body is refused, not taken for what it is not (RFC 9110 §15.5.16). Raises Problem (415)."""
    if given.strip().lower() not in (b"identity", b""):
        raise _unsupported("Send the body as it is, without Content-Encoding.", "Content-Encoding", "identity")


def _unsupported(detail: str, header: str, accepted: str = "") -> Problem:
    headers = {"accept-encoding": accepted} if accepted else None
    return Problem(UNSUPPORTED_MEDIA_TYPE, detail, [Fault(detail, header=header)], headers)


def given_request_id(headers: dict[bytes, bytes]) -> str | None:
    """The caller's X-Request-Id if it can be kept and echoed safely."""
    given = headers.get(b"x-request-id")
    if given and _REQUEST_ID.fullmatch(text := given.decode("latin-1")):
        return text
    return None
