"""Policies over HTTP: locations, items and sources (CONTRACT "Policy bodies"). They are ledger state (R31)."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, json

from atp.api.call import Answer, Call
from atp.api.decoding import Body, escape
from atp.api.problems import IN_USE, NOT_FOUND, VERSION_MISMATCH, Problem, invalid, refusal
from atp.api.resources.in_use import location_in_use, nothing, source_in_use
from atp.api.resources.requests import QUANTITY_MAX, UNIQUE, check_identifier, check_names
from atp.api.service import Service
from atp.domain.commands import PutPolicy
from atp.domain.identifiers import LocationId, SourceId
from atp.domain.records import DELETED, Policy
from atp.domain.times import day_starts

_encode = json.Encoder().encode
_decode_raw = json.Decoder(dict[str, Raw]).decode
_VERSION = re.compile(r'(?:W/)?"?(\d{1,16})"?')

_SAFETY = Meta(ge=0, le=QUANTITY_MAX, description="Units withheld from sale at each location.")


class ListedSource(Struct, forbid_unknown_fields=True):
    """A source of a location's numbers."""

    source: SourceId
    role: Literal["authority", "adjuster", "fallback", "shadow"]


class LocationBody(Struct, forbid_unknown_fields=True):
    """A place with stock."""

    kind: Literal["warehouse", "store", "vendor"]
    priority: Annotated[int, Meta(ge=0, le=1_000_000, description="A rank: 0 is drawn on first, ties by id.")] = 0
    groups: Annotated[list[LocationId], Meta(max_length=100, extra_json_schema=UNIQUE)] = []
    active: Annotated[bool, Meta(description="Nothing is sold from a location that is not active.")] = True
    timezone: Annotated[str, Meta(min_length=1, max_length=64, description="IANA name.")] = "UTC"
    sources: Annotated[
        list[ListedSource],
        Meta(max_length=16, description="None listed: the first source to send a level becomes authority."),
    ] = []


class ItemBody(Struct, forbid_unknown_fields=True):
    """A sku's rules."""

    safety_stock: Annotated[int, _SAFETY] = 0
    safety_stock_by_location: Annotated[
        dict[str, Annotated[int, _SAFETY]], Meta(max_length=1_000, description="Overrules safety_stock where named.")
    ] = {}
    on_shortage: Annotated[
        Literal["report", "revoke_holds"],
        Meta(description="What becomes of holds when a source takes back what they hold. Commitments always stay."),
    ] = "report"
    victims: Annotated[
        Literal["newest", "oldest"], Meta(description="Which reservations a shortage takes, or names, first.")
    ] = "newest"


class SourceBody(Struct, forbid_unknown_fields=True):
    """A system that sends stock events."""

    kind: Literal["erp", "wms", "store"]
    measure: Annotated[
        Literal["on_hand", "sellable", "available"], Meta(description="What its numbers count. Default on_hand.")
    ] = "on_hand"
    version: Annotated[
        Literal["sequence", "time"] | UnsetType,
        Meta(description="How it orders its events; by default as its first event does."),
    ] = UNSET  # not None: the law reads this text, and takes an absent field as its default
    full_guard_percent: Annotated[
        int,
        Meta(ge=0, le=100, description="A full snapshot that zeroes more of a location's non-zero positions waits."),
    ] = 20
    stale_after_seconds: Annotated[int, Meta(ge=1, le=31_536_000)] = 900


InUse = Callable[[Service, Policy], Awaitable[str]]

Version = Annotated[int, Meta(description="For If-Match; the seq of the entry that put this object.")]


class LocationView(LocationBody, kw_only=True):
    """A location policy as it is kept."""

    id: str
    version: Version


class ItemView(ItemBody, kw_only=True):
    """An item policy as it is kept."""

    id: str
    version: Version


class SourceView(SourceBody, kw_only=True):
    """A source policy as it is kept; its ``version`` is the policy's own field, so the object's has another name."""

    id: str
    policy_version: Version


class LocationList(Struct):
    """All locations, by id."""

    locations: list[LocationView]


class SourceList(Struct):
    """All sources, by id."""

    sources: list[SourceView]


def check_no_more(body: object) -> None:
    """For bodies of which the schema says everything."""


class Policies[T: Struct]:
    """The routes of one kind of policy. ``name`` is the path parameter that carries the object's id."""

    def __init__(
        self, kind: str, name: str, body: type[T], check: Callable[[T], None], in_use: InUse = nothing, left: str = "{"
    ) -> None:
        """``in_use`` says why one cannot be deleted, "" if it can; ``left`` begins the body of a deleted one."""
        self.kind = kind
        self.name = name
        self._body = Body(body)
        self._check = check
        self._in_use = in_use
        self._marker = left + DELETED

    async def put(self, service: Service, call: Call) -> Answer:
        """Replace the object. `If-Match` with its version guards against another writer; `If-None-Match: *` creates."""
        try:
            id = self.id_of(call.param)
        except Problem:  # right of what is stored already, else what is wrong with the name is refused
            id = self.id_of(call.stored)
            if await service.ledger.policy(self.kind, id) is None:
                raise
        body = self._body.decode(await call.body())
        self._check(body)
        command = self.command(call, id, body, await self.if_version(service, call, id))
        result = await service.ledger.put_policy(command)
        if not result.outcome.accepted:
            raise refusal(result)
        return self.answer(Policy(self.kind, id, result.seq, command.body))

    async def get(self, service: Service, call: Call) -> Answer:
        """The object, with its version."""
        return self.answer(await self.found(service, self.id_of(call.stored)))

    async def list(self, service: Service, call: Call) -> Answer:
        """All objects of this kind."""
        found = await service.ledger.policies(self.kind)
        return self.page([policy for policy in found if not policy.deleted], {})

    async def delete(self, service: Service, call: Call) -> Answer:
        """Delete the object; `If-Match` with its version guards against another writer. What is in use stays.

        The ledger keeps a marker in its place, since positions and reservations still name it: it has the defaults
        of its kind, sells nothing, and may be put anew.
        """
        id = self.id_of(call.stored)
        found = await self.found(service, id)
        expected = await self.if_version(service, call, id)
        if expected not in (-1, found.version):
            raise Problem(
                VERSION_MISMATCH, f"The object has version {found.version}, not the one that the request names."
            )
        if reason := await self._in_use(service, found):
            raise Problem(IN_USE, reason)
        result = await service.ledger.put_policy(self.deletion(call, found))
        if not result.outcome.accepted:
            raise refusal(result)
        return Answer(204)

    async def found(self, service: Service, id: str) -> Policy:
        """The object as it is kept. Raises Problem (404)."""
        found = await service.ledger.policy(self.kind, id)
        if found is None or self.is_gone(found):
            raise Problem(NOT_FOUND, f"There is no such {self.kind}.")
        return found

    # -- what kinds do in their own way --------------------------------------------------------------------------------

    def id_of(self, param: Callable[[str], str]) -> str:
        """The object's id, of the path's parameters."""
        return param(self.name)

    def shown_id(self, id: str) -> dict[str, Any]:
        """The id as answers have it."""
        return {"id": id}

    def kept(self, body: T) -> bytes:
        """The JSON text that the ledger keeps."""
        return _encode(body)

    def shown(self, body: dict[str, Any]) -> dict[str, Any]:
        """What is shown of the kept body."""
        return body

    def command(self, call: Call, id: str, body: T, if_version: int) -> PutPolicy:
        """The command of a checked body."""
        text = self.kept(body).decode()
        return PutPolicy(self.kind, id, text, if_version, client=call.principal.client, cause=call.cause)

    def is_gone(self, found: Policy) -> bool:
        """Whether this is what is left of a deleted one."""
        return found.deleted

    def deletion(self, call: Call, found: Policy) -> PutPolicy:
        """The command that leaves a marker in the place of ``found``."""
        client = call.principal.client
        return PutPolicy(self.kind, found.id, self._marker, found.version, client=client, cause=call.cause)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _view(self, policy: Policy) -> dict[str, Any]:
        """The body as it was put, so that a release never hides a field it does not know, with id and version."""
        version = "policy_version" if policy.kind == "source" else "version"
        return {**self.shown_id(policy.id), **self.shown(_decode_raw(policy.body)), version: policy.version}

    def answer(self, policy: Policy) -> Answer:
        return Answer(200, _encode(self._view(policy)), {"etag": f'"{policy.version}"'})

    def page(self, found: Sequence[Policy], more: dict[str, str]) -> Answer:
        """A list, with ``more`` beside it."""
        name = f"{self.kind.replace('-', '_')}s"
        return Answer(200, _encode({name: [self._view(policy) for policy in found], **more}))

    async def if_version(self, service: Service, call: Call, id: str) -> int:
        """The version the caller expects, as the command has it: −1 for any, 0 for none."""
        unless = call.headers.get(b"if-none-match")
        if unless is not None and unless.strip() != b"*":
            raise invalid("If-None-Match must be * here: create, and replace nothing.", header="If-None-Match")
        if unless is not None:
            there = await service.ledger.policy(self.kind, id)
            return there.version if there and self.is_gone(there) else 0
        given = call.headers.get(b"if-match", b"").decode("latin-1").strip()
        if not given:
            return -1
        if given == "*":  # whatever it is, but there must be one
            found = await service.ledger.policy(self.kind, id)
            if found is None or self.is_gone(found):
                raise Problem(VERSION_MISMATCH, f"There is no such {self.kind}.")
            return found.version
        if not (match := _VERSION.fullmatch(given)) or match[1] == "0":
            raise invalid("If-Match must be one version, as the ETag has it.", header="If-Match")
        return int(match[1])


def _check_location(body: LocationBody) -> None:
    check_identifier(body.timezone, "/timezone")
    try:
        day_starts(date(2000, 1, 1), body.timezone)
    except ValueError:
        raise invalid("This is not the IANA name of a time zone.", pointer="/timezone") from None
    check_names(body.groups, "/groups")
    seen: set[str] = set()
    for index, listed in enumerate(body.sources):
        check_identifier(listed.source, f"/sources/{index}/source")
        if listed.source in seen:
            raise invalid(f"The source {listed.source!r} is listed twice.", pointer=f"/sources/{index}/source")
        seen.add(listed.source)
    roles = [listed.role for listed in body.sources]
    for role in ("authority", "fallback"):
        if roles.count(role) > 1:
            raise invalid(f"A location has one {role}.", pointer="/sources")
    for index, role in enumerate(roles):
        if role in ("adjuster", "fallback") and "authority" not in roles:
            raise invalid(f"There is no authority that this {role} could serve.", pointer=f"/sources/{index}/role")


def _check_item(body: ItemBody) -> None:
    for location in body.safety_stock_by_location:
        check_identifier(location, f"/safety_stock_by_location/{escape(location)}")


LOCATIONS = Policies("location", "id", LocationBody, _check_location, location_in_use, '{"active":false,')
ITEMS = Policies("item", "sku", ItemBody, _check_item)
SOURCES = Policies("source", "id", SourceBody, check_no_more, source_in_use)
