"""Every key the ledger owns: pattern, type, meaning, and when it goes away.

All keys of a partition carry its hash tag, so that one call can reach them on a cluster. Text from outside appears
in fields and values; only ``recent``, ``buyers``, ``parts``, ``room`` and ``early`` have it in the key, after the tag,
where braces no longer matter.
"""

from typing import NamedTuple


class Key(NamedTuple):
    """One key pattern below the partition's prefix."""

    pattern: str
    type: str
    meaning: str
    goes: str


TABLE = (
    Key("meta", "hash", "law, partitions, epoch, seq, clock, versions", "never"),
    Key("sessions", "hash", "process → session, the fence of R5", "never"),
    Key("sku", "hash", "sku → its record", "never"),
    Key("places", "hash", "sku → its locations, where they are many", "never"),
    Key("pos", "hash", "sku NUL location → its record", "never"),
    Key("supply", "hash", "sku NUL location NUL supply id → a delivery and what of it arrived", "never"),
    Key("recent:*", "hash", "deltas above the last level of one position and source", "with the next level"),
    Key("res", "hash", "identity (of client and key) → reservation record", "with its retention"),
    Key("ended", "list", "ended reservations whose whole record is still here, oldest first", "with their record"),
    Key("buried", "list", "tombstones, oldest first", "with the tombstone"),
    Key("due", "zset", "reservation id → deadline", "when nothing is held"),
    Key("orders", "hash", "order_ref → reservations of that name, events told of it", "with their last whole record"),
    Key("awaited", "zset", "order_ref → when the first event that waits for it is given up", "with the event"),
    Key("policy", "hash", "kind/id → version and body", "never"),
    Key(
        "shortage", "hash", "sku NUL location → open shortage and how far its reservations were gone through", "with it"
    ),
    Key("exception", "hash", "subject of an open exception → seq of the entry that raised it", "when it is over"),
    Key("adjusted", "hash", "digest of client and key → correction by a person", "after a day"),
    Key("adjustments", "list", "those, oldest first", "with them"),
    Key("campaign", "hash", "id → where its window stands, since when it counts", "never"),
    Key("holding", "hash", "channel NUL customer → units held now", "when none is"),
    Key(
        "buyers:*",
        "hash",
        "sku NUL customer → units held and bought in one campaign; NUL ticket → used",
        "when the campaign closes",
    ),
    Key("authority", "hash", "location → first source that sent a level", "never"),
    Key("source", "hash", "source → how it orders events, its lag, when it was heard", "never"),
    Key("location", "hash", "location → its fallback while it sells, what is to be rechecked, who moved it", "never"),
    Key("snapshot", "hash", "source → its last snapshot", "with its next one"),
    Key("parts:*", "hash", "part of a source's last snapshot → digest of its lines", "with its next one"),
    Key("sweep", "hash", "seq of a complete full snapshot → what is left to do for it", "when its zeros are told"),
    Key("cursor", "hash", "stream → position below which all is settled", "never"),
    Key("refused:*", "hash", "answers that no record has, two generations", "after one to two minutes"),
    Key("baskets", "hash", "identity → basket over several partitions whose home this is", "with its record"),
    Key("legs", "hash", "id of a basket → units held here for its record at home", "when nothing of it lives"),
    Key("undecided", "zset", "id of a basket or leg → when anybody may resolve it", "when decided or aborted"),
    Key("contended", "hash", "sku NUL location → units of undecided legs", "with the last of them"),
    Key("following", "hash", "id of a basket → home's seq that its legs have to apply", "when they all have"),
    Key("outbox", "stream", "entries not yet in the journal", "when journaled"),
    Key("witness", "hash", "process → epoch and highest seq it saw, of a ledger that lost them", "when it is rebuilt"),
    Key("rebuild", "hash", "token of the process that rebuilds", "when it is rebuilt"),
    Key("progress", "hash", "how far that is", "when it is rebuilt"),
    Key("frozen:*", "copy", "of every record at one seq, while a baseline is read from it", "when it is read"),
    Key("quota", "hash", "client and class → requests left, when, and what processes want of them", "never"),
    Key("room:*", "string", "arrivals at a campaign's waiting room, admission and its pace", "an hour after it closes"),
    Key("early:*", "string", "who arrived before it opened, counted once each", "an hour after it closes"),
    Key("lease:*", "string", "who runs a single-runner loop", "by its TTL"),
)


def prefix(namespace: str, partition: int) -> str:
    """What every key of the partition starts with; the braces are the cluster's hash tag."""
    return f"{{{namespace}:{partition}}}:"


def meta(namespace: str, partition: int) -> bytes:
    """The key that every call declares."""
    return (prefix(namespace, partition) + "meta").encode()
