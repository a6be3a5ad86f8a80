"""Rendering: the text of one reading of availability, made once for all who read it."""

from collections.abc import Sequence

from msgspec import Struct, json, structs

from atp.api.following.view import Shown
from atp.api.resources.availability_views import AvailabilityView, availability_view, etag_of
from atp.api.service import Service
from atp.domain.times import rfc3339

encode = json.Encoder().encode

#: Pollers may keep an answer, and ask with If-None-Match whether it still holds.
CACHE = "private, no-cache"


class Rendered(Struct, frozen=True, gc=False):
    """The ETag, and the body around its time, which alone is new each time; with the dead letters of ``marks``."""

    marks: int
    etag: str
    before: bytes
    after: bytes


def rendered(service: Service, shown: Shown) -> Rendered:
    """Of a reading that is known to hold."""
    return _rendered(service, shown, _marks(service))


def _rendered(service: Service, shown: Shown, marks: int) -> Rendered:
    if shown.rendered is None or shown.rendered.marks != marks:
        view = _view_of(service, shown)
        before, _, after = encode(structs.replace(view, as_of="@")).rpartition(b'"as_of":"@"')
        shown.rendered = Rendered(marks, etag_of(view), before + b'"as_of":"', b'"' + after)
    return shown.rendered


def known_etag(service: Service, shown: Shown, away: bool) -> str:
    """``away``: the ledger cannot be asked, and this is what was known last."""
    return etag_of(_stale(service, shown)) if away else rendered(service, shown).etag


def body_of(service: Service, shown: Shown, away: bool) -> bytes:
    """The whole text, as of now."""
    return bodies_of(service, [shown], away)


def bodies_of(service: Service, shown: Sequence[Shown], away: bool) -> bytes:
    """The texts of all, with commas between them."""
    as_of = service.view.as_of
    if away:
        stale = (structs.replace(_stale(service, each), as_of=rfc3339(as_of(each))) for each in shown)
        return b",".join(map(encode, stale))
    parts: list[bytes] = []
    marks, at, when = _marks(service), -1, b""
    for each in shown:
        text = _rendered(service, each, marks)
        if (now := as_of(each)) != at:  # mostly all are as of the same look at the ledger
            at, when = now, rfc3339(now).encode()
        parts += (b",", text.before, when, text.after)
    return b"".join(parts[1:])


def etags(header: bytes) -> list[bytes]:
    """If-None-Match compares weakly: a proxy that compresses marks our tag as weak."""
    return [tag.strip().removeprefix(b"W/") for tag in header.split(b",")]


def _marks(service: Service) -> int:
    return service.suspects.changes if service.suspects else 0


def _view_of(service: Service, shown: Shown) -> AvailabilityView:
    stock = shown.stock
    return availability_view(stock.sku, stock, shown.asked, service.ledger.partitions, 0, service.suspects)


def _stale(service: Service, shown: Shown) -> AvailabilityView:
    return structs.replace(_view_of(service, shown), stale=True)
