"""Outcome: the closed set of answers the law gives, in order of precedence, with stable numbers.

An expected refusal is a member here and never an exception. Where several refusals hold at once, the one with the
lowest number is given; retired numbers stay reserved. The Lua library uses the same numbers (``tests/tidy`` compares).
"""

from enum import IntEnum, unique

#: ``Result.detail`` of a refusal whose figures are a moment old and were not read for it (R7).
HINTED = "hint"


@unique
class Outcome(IntEnum):
    """What became of one command."""

    # Accepted: the state the caller asked for holds.
    APPLIED = 1
    REPLAYED = 2  # the same command was applied before; the answer shows the state now
    QUOTED = 3  # a dry run: what would be held, and nothing was

    # Stock events that change nothing, and why.
    SETTLED = 10  # at or below the stream position already settled
    STALE = 11  # a level at or below the last level's version
    INCLUDED = 12  # a delta at or below the level's version: the level already shows it
    DUPLICATE = 13  # an event whose id was applied before
    LATE_DELTA = 14  # a delta older than the memory of recent ones: cannot be told from a repeat, not applied
    AWAITED = 15  # the order is not known yet: what it says of stock counts, the rest waits for the order (R9)
    ORPHANED = 16  # the order has no such units: what it says of stock counts, and a person is told (R9)
    SNAPSHOT_OVER = 18  # a part of a snapshot that is over: its lines are levels like others, and it zeroes nothing

    # Not decided: the batcher sends the command again, callers never see it (R21, R3).
    AGAIN = 20
    CONTENDED = 21  # only units that other baskets have taken tentatively are missing, or its own attempt is under way

    # Not decided, and not now: memory is full, and this would take more of it. Callers get LedgerUnavailable.
    NO_ROOM = 22

    # Refused.
    KEY_REUSED = 30  # the id or key was used with another request
    NOT_FOUND = 31
    UNKNOWN_LOCATION = 32
    UNKNOWN_LINE = 33
    MEASURE_MISMATCH = 34  # a stock event measures something other than its source does
    VERSION_KIND_MISMATCH = 35  # a source that orders by sequence sent a time, or the other way round
    VERSION_MISMATCH = 36  # If-Match names another version
    TIME_REQUIRED = 38  # sources that share a number are compared by time, and this event has none (R24)
    CONTRADICTED = 39  # a part of a snapshot differs from what was said of it before
    EXPIRED = 40
    NOT_ACTIVE = 41
    NO_AUTHORITY = 42  # no source has told a number at the location yet, so there is none to correct
    RECOVERING = 43  # acknowledged changes are lost, and nobody has accepted that yet: nothing is sold (R2)
    MOVED_ON = 46  # what is to be repaired is not what was seen any more: look again
    UNKNOWN_CAMPAIGN = 50
    CUSTOMER_REQUIRED = 51  # a limit per customer applies, and the request names none
    CHANNEL_NOT_ALLOWED = 52  # the channel may not sell there, or not in this campaign
    CAMPAIGN_CLOSED = 53
    TICKET_REQUIRED = 54  # the campaign has a waiting room, and no ticket was shown, or one that was used
    LIMIT_EXCEEDED = 60
    INSUFFICIENT = 70

    @property
    def accepted(self) -> bool:
        """Whether the state the caller asked for now holds."""
        return self <= Outcome.QUOTED
