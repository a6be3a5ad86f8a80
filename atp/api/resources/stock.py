"""Stock over HTTP, for callers without NATS: the events of the contract, and a person's correction."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, json

from atp.api.call import Answer, Call
from atp.api.decoding import Body
from atp.api.problems import FORBIDDEN, OUTCOME_UNKNOWN, STREAM_UNAVAILABLE, Problem, invalid, refusal
from atp.api.resources.change_bodies import REASON_MAX
from atp.api.resources.requests import QUANTITY_MAX, canonical, check_identifier, check_text
from atp.api.service import Service
from atp.domain.commands import Adjust
from atp.domain.identifiers import LocationId, Sku
from atp.domain.ids import digest53, partition_of
from atp.domain.outcomes import Outcome
from atp.domain.posted import Posted, StreamAway, StreamUncertain

#: Events of one request.
EVENTS_MAX = 1_000

_encode = json.Encoder().encode


class EventBody(Struct, omit_defaults=True):
    """A CloudEvent 1.0 in JSON, as the stream takes it; attributes of others are kept."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(description="With the source it says which event this is: it counts once.")]
    source: Annotated[str, Meta(description="The system that says so; the client must be allowed to speak for it.")]
    type: Annotated[str, Meta(description="Such as `atp.stock.level.v1`.")]
    data: dict[str, Any]
    sequence: Annotated[str | UnsetType, Meta(description="Orders the source's events, as a number.")] = UNSET
    time: Annotated[str | UnsetType, Meta(description="RFC 3339; orders them where there is no sequence.")] = UNSET


class AdjustBody(Struct, forbid_unknown_fields=True):
    """A person's correction of what the location's authority says."""

    sku: Sku
    location: LocationId
    quantity: Annotated[int, Meta(ge=-QUANTITY_MAX, le=QUANTITY_MAX, description="Units found or missing; never 0.")]
    reason: Annotated[str, Meta(min_length=1, max_length=REASON_MAX, description="Kept with who says so.")]


class AdjustView(Struct):
    """A correction that counts until the source's next newer level, which includes it."""

    sku: str
    location: str
    quantity: int
    reason: str
    position: Annotated[str, Meta(description="partition:seq of the entry that has it.")]


class EventResult(Struct, omit_defaults=True):
    """What became of one event."""

    index: Annotated[int, Meta(description="Its place in the request, from 0.")]
    id: str
    status: Annotated[
        Literal["accepted", "rejected"],
        Meta(description="Accepted is stored in the stream; what the ledger cannot use becomes a dead letter."),
    ]
    reason: Annotated[str | UnsetType, Meta(description="Why not, as dead letters name it.")] = UNSET
    detail: Annotated[str | UnsetType, Meta(description="Where in the event, and what.")] = UNSET


class EventResults(Struct):
    """What became of each event, in the order of the request."""

    accepted: int
    rejected: int
    results: list[EventResult]


#: What is decoded stays as it was sent, so that the stream's own reader judges it.
_body = Body(list[Raw], parts=True)
_adjust_body = Body(AdjustBody)


async def post_events(service: Service, call: Call) -> Answer:
    """Put canonical events into the stock stream, in order and together, and say of each whether it was taken.

    An event counts once by its source and id, however often it is sent and whichever way it comes; the Idempotency-Key
    only names the call. They are applied a moment later, as those that come by NATS are.
    """
    call.idempotency_key()
    events = _body.decode(await call.body(limit=service.settings.events_max_bytes))
    if not 1 <= len(events) <= EVENTS_MAX:
        raise invalid(f"Send 1 to {EVENTS_MAX} events; these are {len(events)}.", pointer="")
    posted = await _post(service, call, [bytes(event) for event in events])
    results = [_result(index, event) for index, event in enumerate(posted)]
    accepted = sum(result.status == "accepted" for result in results)
    return Answer(202, _encode(EventResults(accepted, len(results) - accepted, results)))


async def adjust(service: Service, call: Call) -> Answer:
    """Correct the number of a location's authority by some units, at once. The source's next newer level includes it.

    It is journaled with the client and the reason. A client that is bound to sources cannot speak for a person.
    """
    key = call.idempotency_key()
    body = _adjust_body.decode(await call.body())
    for name in ("sku", "location"):
        check_identifier(getattr(body, name), f"/{name}")
    check_text(body.reason, "/reason", REASON_MAX)
    if not body.quantity:
        raise invalid("A correction of 0 says nothing.", pointer="/quantity")
    who = call.principal
    if who.sources:
        raise Problem(FORBIDDEN, "This client is bound to sources; corrections need one that is not.")
    command = Adjust(
        body.sku, body.location, body.quantity, digest53("adjust", who.client, key), digest53(canonical(body)),
        body.reason, who.client, call.cause,
    )  # fmt: skip
    result = await service.decide(command, call.deadline())
    if not result.outcome.accepted:
        known = result.outcome is Outcome.KEY_REUSED
        raise refusal(result, "" if known else "/location")
    position = f"{partition_of(body.sku, service.ledger.partitions)}:{result.seq}"
    headers = {"idempotency-replayed": "true"} if result.replayed else {}
    return Answer(200, _encode(AdjustView(body.sku, body.location, body.quantity, body.reason, position)), headers)


async def _post(service: Service, call: Call, events: Sequence[bytes]) -> list[Posted]:
    if service.door is None:
        raise Problem(STREAM_UNAVAILABLE, "This process has no NATS: ATP_NATS_URL is not set.")
    try:
        return await service.door.post(events, call.principal.speaks_for, call.whole_cause(), call.deadline())
    except StreamAway as error:
        raise Problem(STREAM_UNAVAILABLE, f"Nothing was stored: {error}.") from None
    except StreamUncertain as error:
        detail = f"Events may be stored or not: {error}. Send the same ones again: each counts once by its id."
        raise Problem(OUTCOME_UNKNOWN, detail) from None


def _result(index: int, event: Posted) -> EventResult:
    if event.reason:
        return EventResult(index, event.id, "rejected", event.reason, event.detail)
    return EventResult(index, event.id, "accepted")
