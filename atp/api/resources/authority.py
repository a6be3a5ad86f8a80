"""Authority over HTTP: cut a location over to another source, let a source begin anew (R12, R14)."""

from typing import Annotated

from msgspec import Meta, Raw, Struct, json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import NOT_FOUND, Problem, refusal
from atp.api.resources.policies import LOCATIONS, ListedSource
from atp.api.resources.requests import check_identifier
from atp.api.service import Service
from atp.domain.commands import Change, MoveAuthority, RestartSource
from atp.domain.identifiers import SourceId
from atp.domain.ids import digest53
from atp.domain.outcomes import Outcome
from atp.domain.records import Policy

#: Times a location is read anew when somebody else put it meanwhile.
_TRIES = 5


class AuthorityBody(Struct, forbid_unknown_fields=True):
    """Whose number is to count."""

    to: SourceId


class RestartView(Struct, frozen=True):
    """A source that begins anew."""

    id: str
    generation: Annotated[int, Meta(description="What it says from now on is newer than all of earlier generations.")]


class _Listing(Struct):
    sources: list[ListedSource] = []


_body = Body(AuthorityBody)
_decode_listing = json.Decoder(_Listing).decode
_decode_raw = json.Decoder(dict[str, Raw]).decode
_encode = json.Encoder().encode


async def move_authority(service: Service, call: Call) -> Answer:
    """Cut the location over: from one step on the other source's number counts at all its positions, as it is.

    The source before becomes a shadow. What either one has counted stays with it, so a jump in availability is the
    difference of the two sources. `PUT /locations/{id}` with another authority does the same.
    """
    id, key = call.param("id"), call.idempotency_key()
    body = _body.decode(await call.body())
    check_identifier(body.to, "/to")
    given = await LOCATIONS.if_version(service, call, id)
    client = call.principal.client
    change = Change(digest53(client, key), digest53("authority", id, body.to))
    tries = _TRIES if given < 0 else 1
    while True:
        found = await service.ledger.policy("location", id)
        if found is None or found.deleted:
            raise Problem(NOT_FOUND, "There is no such location.")
        text, version = moved(found.body, body.to), found.version if given < 0 else given
        result = await service.ledger.sources.move_authority(
            MoveAuthority(id, body.to, change, text, version, client=client, cause=call.cause)
        )
        tries -= 1
        if result.outcome is not Outcome.VERSION_MISMATCH or not tries:
            break
    if result.outcome is Outcome.NOT_FOUND:
        raise Problem(NOT_FOUND, f"Nobody ever heard of the source {body.to!r}: its number would be nothing.")
    if not result.outcome.accepted:
        raise refusal(result)
    if result.outcome is Outcome.REPLAYED:
        answer = LOCATIONS.answer(found)
        if result.replayed:
            answer.headers["idempotency-replayed"] = "true"
        return answer
    return LOCATIONS.answer(Policy("location", id, int(result.detail), text))


def moved(policy: str, to: str) -> str:
    """A location's policy with another authority, and the one before as a shadow; all else as it was put."""
    listed = _decode_listing(policy).sources
    others = [
        ListedSource(each.source, "shadow" if each.role == "authority" else each.role)
        for each in listed
        if each.source != to
    ]
    sources = [ListedSource(to, "authority"), *others]
    return _encode({**_decode_raw(policy), "sources": sources}).decode()


async def restart_source(service: Service, call: Call) -> Answer:
    """After a source lost its sequence, for example by a restored backup: what it says from now on counts again."""
    id, key = call.param("id"), call.idempotency_key()
    client = call.principal.client
    change = Change(digest53(client, key), digest53("restart", id))
    result = await service.ledger.sources.restart(RestartSource(id, change, client=client, cause=call.cause))
    if result.outcome is Outcome.NOT_FOUND:
        raise Problem(NOT_FOUND, "There is no such source.")
    if not result.outcome.accepted:
        raise refusal(result)
    headers = {"idempotency-replayed": "true"} if result.replayed else {}
    return Answer(200, _encode(RestartView(id, int(result.detail))), headers)
