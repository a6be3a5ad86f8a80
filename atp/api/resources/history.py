"""History over HTTP, from the journal: finding reservations, and what happened to one thing or by one client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, get_args

from msgspec import DecodeError, Meta, Struct, json, msgpack

from atp.api.call import Answer, Call
from atp.api.problems import FORBIDDEN, JOURNAL_UNAVAILABLE, NOT_FOUND, Problem, invalid
from atp.api.resources.answers import view_of
from atp.api.resources.changes import reservation_in_path
from atp.api.service import Service
from atp.domain.causes import Cause, cause_of
from atp.domain.history import BalanceView, Changed, balance_view, changes, facts
from atp.domain.identifiers import ID_MAX, text_fault
from atp.domain.ids import partition_of, reservation_partition
from atp.domain.times import rfc3339
from atp.domain.views import ReservationView, State
from atp.journal import Asked, Happened, Journal, JournalError, Place
from atp.journal.rows import KINDS

_LIMIT, _LIMIT_MAX = 50, 500

#: Subjects of policies that lie with their sku; all others are answered by the first partition.
_BY_SKU = ("item", "item-channel")

_encode = json.Encoder().encode
_states = get_args(State)


class EntryView(Struct, omit_defaults=True):
    """One thing that happened."""

    position: Annotated[str, Meta(description="partition:seq.")]
    at: Annotated[str, Meta(description="The ledger's time.")]
    kind: Annotated[str, Meta(description="What happened, such as `level-set` or `committed`.")]
    about: Annotated[str, Meta(description="A reservation's id, a sku, or `kind:id` of a policy.")]
    client: Annotated[str, Meta(description="Who; absent where the service acts by itself.")] = ""
    cause: Annotated[Cause, Meta(description="The request or the event that led to it.")] = Cause()
    changed: Annotated[list[Changed], Meta(description="Fields with their value before and after.")] = []
    facts: Annotated[dict[str, Any], Meta(description="What else is kept of it, by kind.")] = {}
    balances: Annotated[list[BalanceView], Meta(description="Positions as it left them.")] = []


class EntryList(Struct, omit_defaults=True):
    """A page, newest first; `next_page_token` is there while there are more."""

    entries: list[EntryView]
    next_page_token: str = ""
    journal_begins: Annotated[
        str,
        Meta(description="On the last page, if older entries have gone with their day: where the rest begins."),
    ] = ""


class ReservationList(Struct, omit_defaults=True):
    """A page, newest first, as they were journaled last; `next_page_token` is there while there are more."""

    reservations: list[ReservationView]
    next_page_token: str = ""


async def search(service: Service, call: Call) -> Answer:
    """Reservations by order, sku and state, newest first, from the journal, which is a moment behind the ledger.

    A client bound to channels finds those of its channels.
    """
    query = call.query("order_ref", "sku", "state", "page_token", "limit")
    state, limit = query.get("state", ""), limit_of(query)
    if state and state not in _states:
        raise invalid(f"state must be one of: {', '.join(_states)}.", parameter="state")
    channels = sorted(call.principal.channels) or None
    asked = Asked(query.get("order_ref", ""), query.get("sku", ""), state, channels)
    async with open_journal(service) as journal:
        found = await journal.search(asked, _place(query), limit + 1)
    token = _token(found[limit - 1].place) if len(found) > limit else ""
    return Answer(200, _encode(ReservationList([view_of(service, each.record) for each in found[:limit]], token)))


async def reservation_history(service: Service, call: Call) -> Answer:
    """All that happened to a reservation, newest first."""
    id = reservation_in_path(service, call)
    query = call.query("page_token", "limit")
    async with open_journal(service) as journal:
        found = await journal.reservation(id)
        if found is None or not call.principal.sees(found.channel):
            raise Problem(NOT_FOUND, "The journal knows no such reservation; one made just now is there in a moment.")
        partition = reservation_partition(id, service.ledger.partitions) or 0
        return await _about(journal, query, partition, id, [])


async def stock_entries(service: Service, call: Call) -> Answer:
    """What sources and people told of a sku's stock, and what became of it, newest first.

    Reservations have histories of their own. It speaks of all sources and channels, so it is not for clients that are
    bound to some.
    """
    sku, query = call.stored("sku"), call.query("kind", "page_token", "limit")
    if call.principal.channels or call.principal.sources:
        raise Problem(FORBIDDEN, "This client is bound to channels or sources, and a sku's history speaks of all.")
    partition, kinds = partition_of(sku, service.ledger.partitions), _kinds(query)
    async with open_journal(service) as journal:
        return await _about(journal, query, partition, sku, kinds)


async def audit(service: Service, call: Call) -> Answer:
    """Who changed what and why: everything that one client did, or all that happened to one thing, newest first.

    `about` is a reservation's id, a sku, or `kind:id` of a policy, such as `location:DC1`, `item:TSHIRT-M` or
    `client:shop`.
    """
    query = call.query("client", "about", "kind", "page_token", "limit")
    client, subject, kinds = query.get("client", ""), query.get("about", ""), _kinds(query)
    if bool(client) == bool(subject):
        raise invalid("Name either a client, or what it is about.", parameter="client" if client else "about")
    async with open_journal(service) as journal:
        if subject:
            return await _about(journal, query, _partition(service, subject), subject, kinds)
        limit = limit_of(query)
        return _page(await journal.by_client(client, kinds, after=_place(query), limit=limit + 1), limit)


async def _about(journal: Journal, query: dict[str, str], partition: int, subject: str, kinds: list[str]) -> Answer:
    limit = limit_of(query)
    found = await journal.about(partition, subject, kinds, after=_place(query), limit=limit + 1)
    begins = await journal.begins(partition) if len(found) <= limit else 0
    return _page(found, limit, f"{partition}:{begins}" if begins else "")


def _page(found: list[Happened], limit: int, begins: str = "") -> Answer:
    token = _token(found[limit - 1].place) if len(found) > limit else ""
    return Answer(200, _encode(EntryList([entry_view(each) for each in found[:limit]], token, begins)))


def entry_view(each: Happened) -> EntryView:
    """One entry as people see it."""
    entry = each.entry
    cause = cause_of(entry.cause)
    return EntryView(
        f"{each.partition}:{entry.seq}", rfc3339(entry.at), each.kind, each.subject, entry.client or cause.client,
        cause, changes(entry, each.before), facts(entry), [balance_view(b) for b in getattr(entry, "balances", ())],
    )  # fmt: skip


def _partition(service: Service, subject: str) -> int:
    """Where entries about something are; what every partition has a copy of, the first one tells."""
    partitions = service.ledger.partitions
    kind, colon, id = subject.partition(":")
    if colon and kind in _BY_SKU:
        return partition_of(id.partition("\x1f")[0], partitions)
    if colon:
        return 0
    home = reservation_partition(subject, partitions)
    return partition_of(subject, partitions) if home is None else home


@asynccontextmanager
async def open_journal(service: Service) -> AsyncIterator[Journal]:
    """The journal. Raises Problem (503) if it cannot be asked."""
    try:
        if service.journal is not None:
            yield service.journal
            return
    except JournalError:
        pass
    raise Problem(JOURNAL_UNAVAILABLE, "History is kept in the journal, and it cannot be asked now.")


def _kinds(query: dict[str, str]) -> list[str]:
    kind = query.get("kind", "")
    if kind and kind not in KINDS.values():
        raise invalid("There is no such kind of entry.", parameter="kind")
    return [kind] if kind else []


def limit_of(query: dict[str, str]) -> int:
    """How many a page has at most. Raises Problem (400)."""
    text = query.get("limit", str(_LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _LIMIT_MAX):
        raise invalid(f"limit is 1 to {_LIMIT_MAX}.", parameter="limit")
    return int(text)


def _place(query: dict[str, str]) -> Place | None:
    if "page_token" not in query:
        return None
    try:
        place = msgpack.decode(bytes.fromhex(query["page_token"]), type=Place)
    except (ValueError, DecodeError):
        place = None
    if place is None or (place.id and text_fault(place.id, ID_MAX)):
        raise invalid("The page token is not one of ours.", parameter="page_token")
    return place


def _token(place: Place) -> str:
    return msgpack.encode(place).hex()
