"""Routing: which partition decides on a command, or on a policy object."""

from atp.domain.commands import (
    CHANGES,
    Adjust,
    Affect,
    Command,
    Cursor,
    Delta,
    Heartbeat,
    Include,
    Incoming,
    Level,
    MoveAuthority,
    Overdue,
    PutPolicy,
    Raise,
    Received,
    Recheck,
    Reserve,
    Resolve,
    RestartSource,
    SnapshotDecide,
    SnapshotPart,
    Status,
    TakeBack,
    TellOrder,
    Touch,
    Zero,
)
from atp.domain.ids import partition_of, reservation_partition
from atp.domain.sellers import split_item_channel


def partition_for(command: Command, partitions: int) -> int | None:
    """Where a command goes; None for an id that is none of ours. What concerns all partitions begins in the first."""
    match command:
        case Reserve():
            return partition_of(min(line.sku for line in command.lines), partitions) if partitions > 1 else 0
        case _ if isinstance(command, CHANGES):
            return reservation_partition(command.id, partitions)
        case (
            Level()
            | Delta()
            | Status()
            | Incoming()
            | Received()
            | TakeBack()
            | Adjust()
            | Affect()
            | Zero()
            | Include()
            | Overdue()
            | Touch()
        ):
            return partition_of(command.sku, partitions)
        case PutPolicy():
            return policy_home(command.kind, command.id, partitions)
        case (
            Cursor()
            | TellOrder()
            | SnapshotPart()
            | SnapshotDecide()
            | Heartbeat()
            | MoveAuthority()
            | RestartSource()
            | Recheck()
        ):
            return 0
        case Raise() | Resolve():
            return partition_of(command.sku, partitions) if command.sku else 0
        case _:
            raise TypeError(f"{type(command).__name__} is sent by the ledger itself")


def policy_home(kind: str, id: str, partitions: int) -> int:
    """The partition that decides on a policy object: its sku's, else the first (R31)."""
    if kind == "item":
        return partition_of(id, partitions)
    return partition_of(split_item_channel(id)[0], partitions) if kind == "item-channel" else 0
