"""Prepared: answers about availability that are ready to go, found by the bytes that ask for them.

Most of a shop's requests ask again what was asked before. Who calls, whether it may and its quota are looked at for
every request as ever, and so is whether this process's copy is known to hold; nothing else is done again. An answer
leaves with the reading that it was made of, so there are never more than the copy keeps, whatever callers send.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from atp.api.access.quotas import Meter
from atp.api.admission.classes import CLASSES
from atp.api.admission.entry import DEADLINE
from atp.api.call import given_request_id, question_of
from atp.api.following.view import Shown
from atp.api.heads import request_ids, secured
from atp.api.resources.rendering import CACHE, Rendered, etags, rendered
from atp.api.routes import Route
from atp.api.service import Service
from atp.domain.times import rfc3339
from atp.telemetry import REQUEST_SECONDS, VIEW_READS

Send = Callable[[Any], Awaitable[None]]

_NOTHING = {"type": "http.response.body", "body": b""}
_TIME = len(rfc3339(0))


class Prepared:
    """The answers of one reading, but for the request's id; the body is made anew when its time is another."""

    __slots__ = ("_as_of", "_body", "etag", "head", "of", "same")

    def __init__(self, of: Rendered) -> None:
        self.of = of
        self.etag = of.etag.encode()
        tag, cache = (b"etag", self.etag), (b"cache-control", CACHE.encode())
        length = b"%d" % (len(of.before) + _TIME + len(of.after))
        own = [(b"content-length", length), (b"content-type", b"application/json"), tag, cache]
        self.head = secured(own, ("cache-control",))
        self.same = secured([tag, cache], ("cache-control",))
        self._as_of, self._body = -1, _NOTHING

    def body(self, as_of: int) -> dict[str, Any]:
        """The message with the body as of then (ms)."""
        if as_of != self._as_of:
            self._as_of = as_of
            body = b"%b%b%b" % (self.of.before, rfc3339(as_of).encode(), self.of.after)
            self._body = {"type": "http.response.body", "body": body}
        return self._body


class Counter:
    """Hands out what is prepared: ``find``, then take a slot, then ``answer``."""

    def __init__(self, service: Service, route: Route) -> None:
        self.cls = CLASSES[route.name]
        self._service = service
        self._route = route
        self.gate = service.control.gate
        self._reads = VIEW_READS.of("view")
        method = route.method.value
        self._whole, self._same = (REQUEST_SECONDS.of(method, route.template, status) for status in (200, 304))

    def find(self, scope: Mapping[str, Any], headers: dict[bytes, bytes]) -> tuple[Shown, Meter | None] | None:
        """What a GET is to be answered with, and what limits its caller; None if it has to go the usual way.

        Nothing is counted, taken or changed here: also who is to be refused goes the usual way.
        """
        shown = self._service.view.answered(question_of(scope["raw_path"], scope["query_string"]))
        if shown is None or DEADLINE in headers:
            return None
        caller = self._service.clients.met(headers)
        if caller is None or caller.scopes.isdisjoint(self._route.scopes) or not caller.sees(shown.asked.channel):
            return None
        stop = scope["state"].get("stop")
        if (stop is not None and stop.is_set()) or not self._service.view.holds(shown):
            return None
        meter = self._service.quotas.meter(caller, self._route.name) if caller.quotas else None
        return None if meter and meter.empty else (shown, meter)

    async def answer(
        self, found: tuple[Shown, Meter | None], headers: dict[bytes, bytes], send: Send, started: float
    ) -> None:
        """Send it, and count it. The slot that was taken is given back."""
        timing = self._whole
        try:
            shown, meter = found
            prepared = self._prepared(shown)
            given = headers.get(b"if-none-match")
            if given is not None and (given == prepared.etag or prepared.etag in etags(given)):
                timing, status, head, body = self._same, 304, prepared.same, _NOTHING
            else:
                status, head, body = 200, prepared.head, prepared.body(self._service.view.as_of(shown))
            id = (b"x-request-id" in headers and given_request_id(headers)) or next(request_ids)
            head = [*head, (b"x-request-id", id.encode())]
            if meter:
                meter.take()
                head += [(name.encode(), value.encode()) for name, value in meter.headers().items()]
            self._reads.value += 1
            await send({"type": "http.response.start", "status": status, "headers": head})
            await send(body)
        finally:
            seconds = time.perf_counter() - started
            self.gate.leave(self.cls, seconds)
            timing.observe(seconds)

    def _prepared(self, shown: Shown) -> Prepared:
        of = rendered(self._service, shown)
        prepared = shown.prepared
        if prepared is None or prepared.of is not of:
            prepared = shown.prepared = Prepared(of)
        return prepared
