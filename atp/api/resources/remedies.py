"""Remedies: what resolving an exception does to reservations, by the commands that everybody else uses.

Each runs under a key made of the exception and of what is asked, so a call that is repeated after it failed half-way
does nothing twice, whoever repeats it.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from atp.api.call import Call
from atp.api.problems import NOT_FOUND, Fault, Problem, invalid, refusal
from atp.api.resources.requests import Quantity, canonical, check_identifier
from atp.api.service import Service
from atp.domain.commands import Change, Release, Transfer
from atp.domain.exceptions import Kind
from atp.domain.guidance import GUIDES
from atp.domain.identifiers import LineId, LocationId
from atp.domain.ids import digest53, reservation_partition
from atp.journal import ExceptionRow

ReservationId = Annotated[str, Meta(min_length=1, max_length=64, description="The reservation's id.")]


class TransferAction(
    Struct, forbid_unknown_fields=True, omit_defaults=True, tag="transfer", tag_field="action",
    rename={"source": "from", "target": "to"},
):  # fmt: skip
    """Move live units of a line to another location."""

    reservation: ReservationId
    line_id: LineId
    target: LocationId
    quantity: Quantity
    source: Annotated[LocationId | None, Meta(description="By default the exception's location.")] = None


class ReleaseAction(Struct, forbid_unknown_fields=True, omit_defaults=True, tag="release", tag_field="action"):
    """Give all units of a reservation back: the held ones if there are any, else the committed ones."""

    reservation: ReservationId
    of: Literal["held", "committed", "all"] | None = None


async def apply_remedies(
    service: Service, call: Call, row: ExceptionRow, remedies: list[TransferAction | ReleaseAction], reason: str
) -> None:
    """All of them in order. Raises Problem for the first that is refused; those before it stay done."""
    allowed = GUIDES[Kind(row.kind)].actions
    for index, remedy in enumerate(remedies):
        at = f"/actions/{index}"
        name = remedy.__struct_config__.tag
        if name not in allowed:
            can = " or ".join(allowed) or "none"
            raise invalid(f"{name} is no remedy for {row.kind}; there is {can}.", pointer=f"{at}/action")
        await _require_known(service, call, remedy.reservation, at)
        result = await service.decide(_command(call, row, remedy, reason, at), call.deadline())
        if not result.outcome.accepted:
            raise refusal(result, at)


async def _require_known(service: Service, call: Call, id: str, at: str) -> None:
    """It exists, and the caller may see it (R34)."""
    if reservation_partition(id, service.ledger.partitions) is not None:
        found = await service.reservation(id)
        if found is not None and call.principal.sees(found.channel):
            return
    fault = Fault("There is none with this id.", pointer=f"{at}/reservation")
    raise Problem(NOT_FOUND, "There is no such reservation.", [fault])


def _command(
    call: Call, row: ExceptionRow, remedy: TransferAction | ReleaseAction, reason: str, at: str
) -> Transfer | Release:
    asked = canonical(remedy)
    change = Change(digest53("exception", str(row.id), asked), digest53("remedy", asked))
    client, cause = call.principal.client, call.cause_for(exception=str(row.id))
    if isinstance(remedy, ReleaseAction):
        return Release(remedy.reservation, change, remedy.of or "", [], reason, client, cause)
    source = remedy.source or row.location
    for text, name in ((remedy.line_id, "line_id"), (source or None, "from"), (remedy.target, "to")):
        check_identifier(text, f"{at}/{name}")
    if not source or source == remedy.target:
        raise invalid("Name a location to move them from, and another one to move them to.", pointer=f"{at}/from")
    return Transfer(remedy.reservation, change, remedy.line_id, source, remedy.target, remedy.quantity, client, cause)
