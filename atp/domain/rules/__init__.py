"""The law, in plain Python: what every command does to the state, and what it answers.

``apply`` is read by people and is the oracle of the tests; the Lua library is what runs. Both pass the same scenario
tables and the same random workload, batch by batch (DESIGN §3). The order within a batch is part of the law: time
first, then what ended long ago, as in a replay, then due holds, then silent sources and overdue snapshots, then the
commands one after the other (R21).
"""

from collections.abc import Sequence

from atp.domain.commands import (
    RELIEVING,
    Abort,
    Acknowledge,
    Adjust,
    Affect,
    Command,
    Confirm,
    Cursor,
    Decide,
    Delta,
    DropLeg,
    Extend,
    Followed,
    FollowHome,
    Fulfil,
    Heartbeat,
    Include,
    Incoming,
    Level,
    MoveAuthority,
    OpenBasket,
    Overdue,
    PutBack,
    PutPolicy,
    Raise,
    Recall,
    Received,
    Recheck,
    Release,
    Repair,
    Reserve,
    Resolve,
    RestartSource,
    SnapshotDecide,
    SnapshotPart,
    Status,
    TakeBack,
    TakeLeg,
    TellOrder,
    Touch,
    Transfer,
    Zero,
)
from atp.domain.entries import AnyEntry
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.domain.rules import clock, exceptions, shortage
from atp.domain.rules.adjusting import adjust
from atp.domain.rules.authority import move_authority, recheck
from atp.domain.rules.batch import Batch
from atp.domain.rules.campaigns import pass_edges
from atp.domain.rules.fulfilment import acknowledge, fulfil, transfer
from atp.domain.rules.legs import abort, decide_basket, drop_leg, follow_home, followed, open_basket, take_leg
from atp.domain.rules.lifecycle import confirm, extend, release, settle
from atp.domain.rules.naming import give_up
from atp.domain.rules.orders import serve_waiting, tell_order
from atp.domain.rules.policy import put_policy
from atp.domain.rules.repairing import put_back, repair
from atp.domain.rules.reserve import recall, reserve
from atp.domain.rules.retention import retire
from atp.domain.rules.returns import take_back
from atp.domain.rules.snapshots import decide_snapshot, take_part, tell_overdue, zero
from atp.domain.rules.sources import heartbeat, listen, restart
from atp.domain.rules.stock import delta, include_booked, level, move_cursor, status
from atp.domain.rules.supply import incoming, received
from atp.domain.rules.supply import tell_overdue as tell_overdue_supply
from atp.domain.rules.touching import touch
from atp.domain.state import State

#: Due holds that one batch settles at most, so that a batch's time stays bounded (R21).
SETTLE_MAX = 256


def apply(
    state: State,
    commands: Sequence[Command],
    now: int,
    settle_max: int = SETTLE_MAX,
    sender_now: int | None = None,
    process: str = "",
    relief: bool = False,
) -> tuple[list[Result], list[AnyEntry]]:
    """Apply one batch to ``state`` at ``now`` (ms); the clock never runs backward within a partition (R22).

    ``sender_now`` is the clock of the ``process`` that sent it, by default the ledger's own. With ``relief`` memory is
    full: what would take more of it is answered NO_ROOM, the rest frees some (R26).

    Returns a result per command, in order, and the entries of the batch. A result AGAIN was not decided, because a
    refusal would have stood on holds that are due: the caller sends that command again, first in the next batch.
    """
    batch = clock.begin(state, now, now if sender_now is None else sender_now, process)
    retire(batch)
    settle(batch, settle_max)
    pass_edges(batch)
    give_up(batch)
    listen(batch)
    tell_overdue(batch)
    results: list[Result] = []
    for command in commands:
        if relief and not _has_room(batch, command):
            results.append(Result(Outcome.NO_ROOM, state.seq))
        else:
            results.append(decide(batch, command))
    shortage.close(batch)
    return results, batch.entries


def _has_room(batch: Batch, command: Command) -> bool:
    """Whether a command fits into a full memory."""
    if isinstance(command, Level | Delta | Status | Received | TakeBack | Zero):
        item = batch.state.skus.get(command.sku)
        return item is not None and command.location in item.positions
    if isinstance(command, SnapshotPart):
        return command.taken
    return isinstance(command, RELIEVING)


def decide(batch: Batch, command: Command) -> Result:
    """One command against the state as the commands before it left it."""
    match command:
        case Reserve():
            return serve_waiting(batch, reserve(batch, command))
        case Recall():
            return recall(batch, command)
        case Confirm():
            return serve_waiting(batch, confirm(batch, command))
        case Release():
            return release(batch, command)
        case Extend():
            return extend(batch, command)
        case Fulfil():
            return fulfil(batch, command)
        case Acknowledge():
            return acknowledge(batch, command)
        case Transfer():
            return transfer(batch, command)
        case Level():
            return level(batch, command)
        case Delta():
            return delta(batch, command)
        case Status():
            return status(batch, command)
        case Incoming():
            return incoming(batch, command)
        case Received():
            return received(batch, command)
        case Overdue():
            return tell_overdue_supply(batch, command)
        case Adjust():
            return adjust(batch, command)
        case TellOrder():
            return tell_order(batch, command)
        case TakeBack():
            return take_back(batch, command)
        case Include():
            return include_booked(batch, command)
        case Cursor():
            return move_cursor(batch, command)
        case Affect():
            return shortage.affect(batch, command)
        case SnapshotPart():
            return take_part(batch, command)
        case Zero():
            return zero(batch, command)
        case SnapshotDecide():
            return decide_snapshot(batch, command)
        case PutPolicy():
            return put_policy(batch, command)
        case Heartbeat():
            return heartbeat(batch, command)
        case Touch():
            return touch(batch, command)
        case MoveAuthority():
            return move_authority(batch, command)
        case RestartSource():
            return restart(batch, command)
        case Recheck():
            return recheck(batch, command)
        case Repair():
            return repair(batch, command)
        case PutBack():
            return put_back(batch, command)
        case Raise():
            return exceptions.raise_told(batch, command)
        case Resolve():
            return exceptions.resolve(batch, command)
        case OpenBasket():
            return open_basket(batch, command)
        case TakeLeg():
            return take_leg(batch, command)
        case Decide():
            return serve_waiting(batch, decide_basket(batch, command))
        case Abort():
            return abort(batch, command)
        case DropLeg():
            return drop_leg(batch, command)
        case FollowHome():
            return follow_home(batch, command)
        case Followed():
            return followed(batch, command)
