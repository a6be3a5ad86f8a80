"""Guidance: what each kind of exception means in plain words, and what a person can do about it."""

from typing import Literal

from msgspec import Struct

from atp.domain.exceptions import Kind

#: What resolving an exception can do in the same call.
Action = Literal["transfer", "release"]


class Guide(Struct, frozen=True):
    """For one kind. ``actions`` make sense with it; to accept is always possible unless ``remedies`` say otherwise."""

    meaning: str
    remedies: tuple[str, ...]
    actions: tuple[Action, ...] = ()


_LOOK = "Accept it when you know why it happened; it is raised again if it happens again."

GUIDES: dict[Kind, Guide] = {
    Kind.SHORTAGE: Guide(
        "A source lowered the stock of a position below what is held and committed there: some orders cannot be "
        "delivered from it. It ends by itself when units cover the promises again.",
        (
            "Transfer units of a reservation to a location that has them.",
            "Release units of a reservation, and tell its customer.",
            "Have the number corrected at its source, or adjust it, if the count was wrong.",
            "Accept it if the units will come in time.",
        ),
        ("transfer", "release"),
    ),
    Kind.CLOCK_APART: Guide(
        "The clock of a process and that of the ledger differ by more than a minute. While they do, no hold expires.",
        ("Mend the time service of the machine that is wrong; holds expire again with the next batch.", _LOOK),
    ),
    Kind.ORPHAN_SHIPMENT: Guide(
        "A source says that more units of an order left than any reservation of that order had. The stock is lowered; "
        "nobody's promise was.",
        ("Find out which order it was, and release what that order still holds.", _LOOK),
        ("release",),
    ),
    Kind.ORPHAN_ORDER: Guide(
        "A source told of an order that nobody reserved under that name, also after the time such events wait.",
        ("See whether the storefront confirms with the same order_ref that the source uses.", _LOOK),
    ),
    Kind.SHIPPED_ELSEWHERE: Guide(
        "Units of a reservation left from another location than the one they were promised at (`detail`). The "
        "promise is fulfilled, and the stock was lowered where they left.",
        ("If other lines of the order will leave from there too, transfer them.", _LOOK),
        ("transfer",),
    ),
    Kind.SUPPLY_OVERDUE: Guide(
        "A delivery did not come on its day. Promises that hang on it stay, and nothing new is promised from it.",
        (
            "Have its source send a new day, or quantity 0 if it will not come.",
            "Transfer or release what was promised from it.",
        ),
        ("transfer", "release"),
    ),
    Kind.REBASE_WINDOW: Guide(
        "A count came that is older than changes already forgotten, so nobody can tell which of them it includes. The "
        "lower number is sold.",
        ("Have the source send a fresh level; that ends it.", _LOOK),
    ),
    Kind.LATE_DELTA: Guide(
        "A change came that is older than what is remembered: it could not be told from a repeat, and was not applied.",
        ("Have the source send a fresh level; that ends it.", _LOOK),
    ),
    Kind.SOURCE_SILENT: Guide(
        "A source that sends heartbeats was not heard for longer than its policy allows. If it is an authority with a "
        "fallback, the lower of the two numbers is sold.",
        ("See what keeps the source from sending; it ends when it is heard again.", _LOOK),
    ),
    Kind.SOURCE_UNKNOWN: Guide(
        "A source spoke that nobody has put. It is taken to measure what is on hand.",
        ("Put it: PUT /v1/sources/{id}, with what it measures.", "Accept it if the default is right."),
    ),
    Kind.SOURCE_REWOUND: Guide(
        "A source sends levels that are older than all it sent before, a hundred in a row: it seems to have lost its "
        "sequence, as by a restored backup. They have no effect.",
        ("Let it begin anew: atp source restart SOURCE; that ends it.", _LOOK),
    ),
    Kind.SNAPSHOT_GUARD: Guide(
        "A full snapshot would zero more of a location's positions than its guard allows. It waits for your word.",
        (
            "Resolve with `accept` to apply it: what it does not name becomes 0.",
            "Resolve with `discard` to keep what it does not name.",
        ),
    ),
    Kind.SNAPSHOT_INCOMPLETE: Guide(
        "Parts of a snapshot never came. The levels of the others count; nothing was zeroed.",
        ("Have the source send the snapshot again.", _LOOK),
    ),
    Kind.GAP: Guide(
        "A new epoch of the ledger began: the numbers of entries before it end, and go on further up.",
        (_LOOK,),
    ),
    Kind.LOSS: Guide(
        "Changes that were acknowledged are gone: the ledger was lost before the journal had them. Reserve stays "
        "closed, because their units would be sold again.",
        (
            "Look into `detail` for the range and the time, and for orders of that time in the storefront.",
            "Resolve it, or run atp rebuild --accept-loss, to open reserve.",
        ),
    ),
    Kind.DRIFT: Guide(
        "Numbers that must agree do not; `detail` has what was compared.",
        ("Find the cause before you repair: atp explain, atp history.", _LOOK),
    ),
    Kind.LATE_DUPLICATE: Guide(
        "An Idempotency-Key was used again after more than a day, and made a second reservation under the same id.",
        ("If it was a retry and not a new order, release the second reservation.", _LOOK),
        ("release",),
    ),
    Kind.JOURNAL_GAP: Guide(
        "The journal misses entries that the ledger no longer has, as after PostgreSQL was restored to an older state. "
        "Histories and explanations of that range are incomplete; the ledger is not affected.",
        ("Nothing can bring them back; accept it when you know what happened to the database.",),
    ),
}
