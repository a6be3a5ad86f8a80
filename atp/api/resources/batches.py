"""Batches: many reservations in one call, each decided for itself (CONTRACT "POST /reservations/batch")."""

import asyncio
from typing import Annotated, cast

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, json

from atp.api.call import KEY_MAX, Answer, Call
from atp.api.decoding import Body
from atp.api.problems import KEY_MISSING, Fault, Problem, ProblemView
from atp.api.resources.answers import decided, problem_of
from atp.api.resources.requests import BATCH_MAX, ReserveBody
from atp.api.resources.reservations import reserve_command
from atp.api.resources.ticketing import admitted
from atp.api.service import Service
from atp.domain.views import ReservationView
from atp.telemetry import PROBLEMS, series


class BatchItemView(Struct, frozen=True, omit_defaults=True):
    """What became of one item: what it would have been answered alone."""

    status: Annotated[int, Meta(description="201 held, 200 a dry run; else that of `problem`.")]
    reservation: Annotated[
        ReservationView | UnsetType, Meta(description="Of a dry run without `id` and `position`.")
    ] = UNSET
    problem: ProblemView | UnsetType = UNSET
    replayed: Annotated[bool, Meta(description="Whether this repeats an earlier answer.")] = False


class BatchView(Struct, frozen=True):
    """A result for each item, in the order of the request."""

    results: list[BatchItemView]


class _Items(Struct, forbid_unknown_fields=True):
    """The body with its items unread, so that one that cannot be read costs the others nothing."""

    reservations: Annotated[list[Raw], Meta(min_length=1, max_length=BATCH_MAX)]


_items = Body(_Items, nested=False)
_item_body = Body(ReserveBody)
_encode = json.Encoder().encode


async def reserve_batch(service: Service, call: Call) -> Answer:
    """Make up to 100 independent reservations; one that is refused or wrong does not concern the others.

    Item *i*, counted from 0, acts under the key `<Idempotency-Key>/<i>`: repeat the call with the same key and order.
    Pointers of a problem lead into the body of this call.
    """
    key = call.idempotency_key()
    items = _items.decode(await call.body(limit=service.settings.batch_max_bytes)).reservations
    if len(f"{key}/{len(items) - 1}") > KEY_MAX:
        detail = f"Idempotency-Key, a slash and the number of an item have at most {KEY_MAX} characters together."
        raise Problem(KEY_MISSING, detail, [Fault(detail, header="Idempotency-Key")])
    deadline = call.deadline()
    if call.meter:
        call.meter.charge(len(items) - 1)  # each counts: a batch is no way past a quota
    results = [_item(service, call, index, raw, f"{key}/{index}", deadline) for index, raw in enumerate(items)]
    return Answer(200, _encode(BatchView(await asyncio.gather(*results))))


async def _item(service: Service, call: Call, index: int, raw: Raw, key: str, deadline: float | None) -> BatchItemView:
    try:
        body = _item_body.decode(bytes(raw))
        command = reserve_command(service, call, key, body)
        if body.campaign:
            command.ticket = await admitted(service, call, body)
        found = decided(service, "reserve", await service.decide(command, deadline), body)
        return BatchItemView(found.status, cast(ReservationView, found.view), replayed=found.replayed)
    except Exception as error:
        return _refused(problem_of(error, call.request_id), index, call.request_id)


def _refused(problem: Problem, index: int, request_id: str) -> BatchItemView:
    series(PROBLEMS, problem.kind.code).inc()
    for each in problem.errors:
        if each.pointer is not UNSET:
            each.pointer = f"/reservations/{index}{each.pointer}"
    replayed = "idempotency-replayed" in problem.headers
    return BatchItemView(problem.kind.status, problem=problem.view(request_id), replayed=replayed)
