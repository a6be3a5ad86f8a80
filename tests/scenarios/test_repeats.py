"""An answer was lost, so the same command is sent again (R5): it has had its effect, and has no other one.

The batcher sends again whatever it had no answer to, so this must hold for every command there is.
"""

from typing import get_args

import pytest

from atp.domain.commands import Command
from tests.scenarios.table import Table

STOCK = "level A@DC1 10 v1"
SOLD = (
    STOCK
    + """
    reserve r1 A:4 order X
    confirm r1"""
)
SHADOW = """
    location DC1 {"kind":"warehouse","sources":[{"source":"wms","role":"authority"},{"source":"erp","role":"shadow"}]}
    level A@DC1 10 v1
    level A@DC1 3 v1 by erp"""
OPEN = (
    STOCK
    + """
    open r1 A:2 far:1"""
)
SWEEP = (
    STOCK
    + """
    part S 1/1 v9 B:2@DC1 full DC1"""
)

PARKED = (
    STOCK
    + """
    level B@DC1 9 v1
    level C@DC1 9 v1
    part S 1/1 v9 A:8@DC1 full DC1
    sweep"""
)

#: What a command is sent on, the command, and what it is answered the first and the second time.
REPEATS = {
    "Level": ("", "level A@DC1 10 v1", "", "STALE"),
    "Delta": (STOCK, "delta A@DC1 -2 v3 e9", "", "DUPLICATE"),
    "Delta of which nothing is remembered": ("", "delta A@DC1 -2 v3 e9", "", "DUPLICATE"),
    "Cursor": ("", "cursor 7", "", "SETTLED"),
    "Status": (STOCK, "status A@DC1 3 v1", "", "STALE"),
    "Incoming": (STOCK, "incoming A@DC1 po1 10 d5 v1", "", "STALE"),
    "Received": (STOCK + "\n incoming A@DC1 po1 10 d5 v1", "received A@DC1 po1 4 v2 e1", "", "DUPLICATE"),
    "Overdue": (STOCK + "\n incoming A@DC1 po1 10 d1 v1\n pass 400000", "overdue A@DC1 po1", "", "NOT_FOUND"),
    "TellOrder": (SOLD, "fulfilled X A:3@DC1 v5 e7", "", "DUPLICATE"),
    "TellOrder of an order that is not there": (STOCK, "fulfilled X A:3@DC1 v5 e7", "AWAITED", "DUPLICATE"),
    "TakeBack": (STOCK, "returned A@DC1 3 v4 e2", "", "DUPLICATE"),
    "TakeBack of what is unfit": (STOCK, "returned A@DC1 3 v4 e2 unfit", "", "DUPLICATE"),
    "Include": (SOLD + "\n level A@DC1 9 v2", "booked A@DC1 9 v2 r1", "", ""),
    "Reserve": (STOCK, "reserve r1 A:4 order X for c1", "", "REPLAYED replayed"),
    "Recall": (STOCK + "\n reserve r1 A:4", "recall r1", "REPLAYED replayed", "REPLAYED replayed"),
    "Confirm": (STOCK + "\n reserve r1 A:4", "confirm r1 1:2", "", "REPLAYED replayed"),
    "Release": (SOLD, "release r1 1:2 of committed", "", "REPLAYED replayed"),
    "Extend": (STOCK + "\n reserve r1 A:4", "extend r1 900", "", "REPLAYED replayed"),
    "Fulfil": (SOLD, "fulfil r1 1:2", "", "REPLAYED replayed"),
    "Acknowledge": (SOLD, "acknowledge r1 1:2", "", "REPLAYED replayed"),
    "Transfer": (SOLD + "\n level A@DC2 9 v1", "transfer r1 1:2 DC1 DC2", "", "REPLAYED replayed"),
    "Affect": (SOLD + "\n level A@DC1 1 v2", "affect A@DC1 r1 last", "", "REPLAYED replayed"),
    "PutPolicy of a location": (STOCK, 'put 1 location DC1 {"kind":"store"}', "", "REPLAYED replayed"),
    "PutPolicy of an item": (STOCK, 'put 1 item A {"safety_stock":2}', "", "REPLAYED replayed"),
    "PutPolicy of a share": (STOCK, 'put 1 share A web {"cap":5}', "", "REPLAYED replayed"),
    "PutPolicy of a campaign": (STOCK, "put 1 campaign bf +0 +60 A:5", "", "REPLAYED replayed"),
    "PutPolicy with a version": (STOCK, 'copy 99 location DC1 {"kind":"store"}', "", "REPLAYED replayed"),
    "Raise": (STOCK, "raise drift A@DC1", "", "DUPLICATE"),
    "Resolve": (STOCK + "\n raise drift A@DC1", "put 1 resolve drift A@DC1", "", "REPLAYED replayed"),
    "Resolve of a shortage": (SOLD + "\n level A@DC1 1 v2", "put 1 resolve shortage A@DC1", "", "REPLAYED replayed"),
    "Adjust": (STOCK, "adjust A@DC1 -2", "", "REPLAYED replayed"),
    "SnapshotPart": (STOCK, "begin S 1/2 v9 A:5@DC1", "", "REPLAYED replayed"),
    "SnapshotPart that was taken": (STOCK + "\n begin S 1/2 v9 A:5@DC1", "taken S 1/2 v9 A:5@DC1", "", "DUPLICATE"),
    "Zero": (SWEEP, "zero A@DC1 v9", "", "STALE"),
    "SnapshotDecide": (PARKED, "accept", "", "NOT_ACTIVE"),
    "Heartbeat": (STOCK, "heartbeat wms", "", ""),
    "Touch": (STOCK, "touch A@DC1 v5", "", "INCLUDED"),
    "MoveAuthority": (
        SHADOW,
        'cutover DC1 erp {"kind":"warehouse","sources":[{"source":"erp","role":"authority"},'
        '{"source":"wms","role":"shadow"}]}',
        "",
        "REPLAYED replayed",
    ),
    "RestartSource": (STOCK, "restart wms", "", "REPLAYED replayed"),
    "Recheck": (
        SHADOW + """
        cutover DC1 erp {"kind":"warehouse","sources":[{"source":"erp","role":"authority"}]}""",
        "recheck DC1 A last",
        "",
        "NOT_ACTIVE",
    ),
    "Repair": (STOCK + "\n drift A@DC1", "repair A@DC1 held 2", "", "NOT_FOUND"),
    "PutBack": (SOLD + "\n drift r1", "putback r1", "", "NOT_FOUND"),
    "OpenBasket": (STOCK, "open r1 A:2 far:1", "", ""),
    "TakeLeg": (OPEN, "take r1 A:2", "", ""),
    "Decide": (OPEN + "\n take r1 A:2", "decide r1 A:2@DC1 far:1@FAR", "", "REPLAYED replayed"),
    "Abort": (OPEN, "abort r1", "", "NOT_FOUND"),
    "DropLeg": (STOCK + "\n take r1x A:2 attempt 7", "drop r1x attempt 7", "", "NOT_FOUND"),
    "FollowHome": (STOCK + "\n take r1x A:2 attempt 7", "follow r1x A:1/1/0@DC1 seq 9", "", "STALE"),
    "Followed": (OPEN + "\n take r1 A:2\n decide r1 A:2@DC1 far:1@FAR\n confirm r1", "followed r1", "", "STALE"),
}  # fmt: skip


@pytest.mark.parametrize("name", REPEATS)
def test_a_command_that_comes_again_changes_nothing(table: Table, name: str) -> None:
    setup, line, first, again = REPEATS[name]
    table.run(setup)
    word, *rest = line.split()
    command = table.command(word, rest)
    assert type(command).__name__ == name.split()[0]
    table.do(command, first.split())
    table.empty()  # what the command leaves to the next batch
    before, entries = table.law.dump(), len(table.entries)
    table.do(command, again.split())
    assert table.entries[entries:] == []
    assert table.law.dump() == before


def test_no_command_is_forgotten() -> None:
    assert {name.split()[0] for name in REPEATS} == {kind.__name__ for kind in get_args(Command)}
