"""What operators and their tools ask: health, metrics, documentation. No route here needs a key or tells an id."""

import asyncio
from functools import cache
from importlib.resources import files

from msgspec import json

from atp.api.call import Answer, Call
from atp.api.problems import NOT_FOUND, Problem
from atp.api.service import Service
from atp.journal import JournalError
from atp.ledger import LedgerError
from atp.ledger.restoring import Restoring
from atp.telemetry import exposition

_encode = json.Encoder().encode

#: The page loads its script and the document from here and nothing from elsewhere; the viewer styles itself inline.
_DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def live(service: Service, call: Call) -> Answer:
    """Whether this process can answer at all; never about its servers, since a restart would not mend them."""
    return Answer(200, _encode({"status": "live"}))


async def ready(service: Service, call: Call) -> Answer:
    """Whether to send requests here: a real call of the ledger's library, and clients are known.

    The journal is told and does not count, because reservations go on without it (DESIGN §5). A process that was told
    to stop says so for a moment while it still serves, so that whoever distributes requests goes elsewhere.
    """
    if call.stop is not None and call.stop.is_set():
        return _health("stopping", ok=False)
    ledger, journal = await asyncio.gather(_ledger_check(service), _journal_check(service))
    clients: dict[str, object] = {"ok": service.clients.loaded}
    ok = ledger["ok"] and clients["ok"]
    return _health("ready" if ok else "not ready", bool(ok), ledger=ledger, clients=clients, journal=journal)


async def startup(service: Service, call: Call) -> Answer:
    """Whether start-up is complete: the ledger has answered and the clients were read once."""
    ok = service.clients.loaded
    return _health("started" if ok else "starting", ok, clients={"ok": ok})


async def metrics(service: Service, call: Call) -> Answer:
    """Metrics of this process for Prometheus."""
    body, media_type = exposition()
    return Answer(200, body, media_type=media_type)


async def root(service: Service, call: Call) -> Answer:
    """Who opens the bare address is shown to the documentation, where there is one."""
    _require_docs(service)
    return Answer(303, headers={"location": "docs"})  # relative: a proxy may serve us below a path of its own


async def docs(service: Service, call: Call) -> Answer:
    """The API's documentation for people; works without the internet."""
    _require_docs(service)
    headers = {"content-security-policy": _DOCS_CSP}
    return Answer(200, _static("docs.html"), headers, "text/html; charset=utf-8")


async def docs_script(service: Service, call: Call) -> Answer:
    """The viewer of the documentation."""
    _require_docs(service)
    headers = {"cache-control": "public, max-age=86400"}
    return Answer(200, _static("rapidoc-min.js"), headers, "text/javascript; charset=utf-8")


async def events(service: Service, call: Call) -> Answer:
    """The AsyncAPI 3 document of all events, in and out."""
    _require_docs(service)
    return Answer(200, service.settings.asyncapi)


def _require_docs(service: Service) -> None:
    if not service.settings.docs:
        raise Problem(NOT_FOUND, "The documentation is switched off here.")


@cache
def _static(name: str) -> bytes:
    return files("atp.api").joinpath("static", name).read_bytes()


async def _ledger_check(service: Service) -> dict[str, object]:
    try:
        async with asyncio.timeout(service.settings.health_timeout_s):
            heads = await service.ledger.heads()
    except (LedgerError, TimeoutError) as error:
        return {"ok": False, "problem": type(error).__name__} | await _rebuilds(service)
    return {
        "ok": True,
        "durability": service.ledger.settings.durability,
        "partitions": len(heads),
        "outbox": sum(head.outbox_length for head in heads),
    }


async def _rebuilds(service: Service) -> dict[str, object]:
    """How far the partitions are that are made anew, by whichever process."""
    found: dict[str, object] = {}
    settings = service.ledger.settings
    for partition in service.ledger.recovering:
        steps = Restoring(settings.url, settings.namespace, partition)
        try:
            async with asyncio.timeout(service.settings.health_timeout_s):
                found[str(partition)] = await steps.shown()
        except (LedgerError, TimeoutError):
            return {}
        finally:
            await steps.close()
    return {"rebuilding": found} if found else {}


async def _journal_check(service: Service) -> dict[str, object]:
    if service.journal is None:
        return {"ok": False, "problem": "not configured or away"}
    try:
        async with asyncio.timeout(service.settings.health_timeout_s):
            await service.journal.heads()
    except (JournalError, TimeoutError) as error:
        return {"ok": False, "problem": type(error).__name__}
    return {"ok": True}


def _health(status: str, ok: bool, **checks: dict[str, object]) -> Answer:
    body = _encode({"status": status, "checks": checks})
    return Answer(200, body) if ok else Answer(503, body, {"retry-after": "1"})
