"""Requests as they go over the wire, in two pieces around the Idempotency-Key, which wrk and our callers only join."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import json

#: Longer than any run, so that what was sold stays countable.
TTL_S = 14_400

Ask = tuple[bytes, bytes]


class Asks:
    """Makes requests for one server."""

    def __init__(self, url: str, key: str) -> None:
        self._fixed = f"Host: {urlsplit(url).netloc}\r\nAuthorization: Bearer {key}\r\n"

    def reserve(self, sku: str) -> Ask:
        """One unit, wherever it is."""
        return self._post("/v1/reservations", f'{{"lines":[{{"sku":"{sku}","quantity":1}}],"ttl_seconds":{TTL_S}}}')

    def change(self, id: str, action: str) -> Ask:
        """``confirm`` or ``release`` of a reservation as a whole."""
        return self._post(f"/v1/reservations/{id}/{action}", "{}")

    def availability(self, sku: str, etag: str = "") -> Ask:
        """Of one sku; with an ETag, whether it is still so."""
        unless = f"If-None-Match: {etag}\r\n" if etag else ""
        # The key is none of this request's, but every request has one here: a header that nobody reads.
        return f"GET /v1/availability/{sku} HTTP/1.1\r\n{self._fixed}{unless}X-Request: ".encode(), b"\r\n\r\n"

    def query(self, skus: Sequence[str]) -> Ask:
        """Availability of all of them; the key is none of this request's either."""
        return self._post("/v1/availability/query", json.encode({"skus": skus}).decode())

    def _post(self, path: str, body: str) -> Ask:
        head = f"POST {path} HTTP/1.1\r\n{self._fixed}Content-Type: application/json\r\nIdempotency-Key: "
        return head.encode(), f"\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def write(path: Path, asks: Sequence[Ask]) -> None:
    """The file that ``requests.lua`` and ``callers`` read."""
    path.write_bytes(b"".join(b"%s\0%s\0" % ask for ask in asks))


def read(path: Path) -> list[Ask]:
    """What ``write`` wrote."""
    pieces = path.read_bytes().split(b"\0")[:-1]
    return list(zip(pieces[::2], pieces[1::2], strict=True))
