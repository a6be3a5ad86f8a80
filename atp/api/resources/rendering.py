"""Rendering: the text of one reading of availability, made once for all who read it."""

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
    marks = service.suspects.changes if service.suspects else 0
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
    as_of = rfc3339(service.view.as_of(shown))
    if away:
        return encode(structs.replace(_stale(service, shown), as_of=as_of))
    text = rendered(service, shown)
    return b"%b%b%b" % (text.before, as_of.encode(), text.after)


def etags(header: bytes) -> list[bytes]:
    """If-None-Match compares weakly: a proxy that compresses marks our tag as weak."""
    return [tag.strip().removeprefix(b"W/") for tag in header.split(b",")]


def _view_of(service: Service, shown: Shown) -> AvailabilityView:
    stock = shown.stock
    return availability_view(stock.sku, stock, shown.asked, service.ledger.partitions, 0, service.suspects)


def _stale(service: Service, shown: Shown) -> AvailabilityView:
    return structs.replace(_view_of(service, shown), stale=True)
