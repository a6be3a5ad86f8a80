"""A planted difference of each kind is found, named, and repaired; afterwards nothing differs."""

import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from msgspec import structs

from atp.domain.commands import Acknowledge, Change, OpenBasket, PutPolicy, Raise, Release, ReserveLine
from atp.domain.exceptions import subject
from atp.domain.ids import partition_of
from atp.domain.order_commands import OrderLine, TellOrder
from atp.domain.outcomes import Outcome
from atp.domain.sellers import item_channel
from atp.journal import migrate
from tests.rooms.check.room import Room, confirm, fulfil, id_of, incoming, level, reserve

pytestmark = pytest.mark.anyio

IN_TEN_DAYS = int(time.time() // 86_400 + 10) * 86_400_000
DAY = datetime.fromtimestamp(IN_TEN_DAYS / 1000, UTC).date().isoformat()
CAMPAIGN = '{"opens":0,"closes":9000000000000,"skus":{"C":{"quantity":9}},"per_customer":5}'


async def stocked(room: Room) -> None:
    """Something of everything that is counted."""
    await room.ledger.put_policy(PutPolicy("location", "S1", '{"kind":"store"}'))
    await room.ledger.put_policy(PutPolicy("source", "erp", '{"kind":"erp","measure":"available"}'))
    await room.apply(
        *(level(sku, 20) for sku in "ABCD"),
        structs.replace(level("E", 20, location="S1"), source="erp"),
        level("A", 5, location="DC2"),
        incoming("B", 10, DAY, IN_TEN_DAYS),
    )
    await room.ledger.put_policy(PutPolicy("item-channel", item_channel("A", "web"), '{"cap":15}'))
    await room.ledger.put_policy(PutPolicy("item-channel", item_channel("A", "app"), '{"protection":3}'))
    await room.ledger.put_policy(PutPolicy("campaign", "bf", CAMPAIGN, skus=["C"]))
    await room.apply(
        reserve("a1", "A", 2, order="X", customer="c1"), reserve("a2", "A", 3), reserve("a3", "A"),
        reserve("b1", "B", 4, needed_by=DAY), reserve("c1", "C", 2, customer="c1", campaign="bf"),
        confirm("a2", order="Y"), confirm("a3"), fulfil("a3"),
    )  # fmt: skip
    await room.apply(
         reserve("e1", "E", 2), reserve("e2", "E", 3),
        confirm("e1", "E"), confirm("e2", "E"), acknowledge("e1", 1), acknowledge("e2", 5),
        Raise("late-delta", "A", "DC1"),
    )  # fmt: skip
    waits = TellOrder("cancelled", "", "wms", "Z", "sequence", (0, 9), "", 0, 0, 77, [OrderLine("D", 1)])
    (waiting,) = await room.ledger.apply([waits])
    basket = OpenBasket(1, 600_000, ["far"], reserve("open", "D"))
    assert (await room.ledger.submit_to(0, basket)).outcome is Outcome.APPLIED  # pyright: ignore[reportArgumentType]
    assert waiting.outcome is Outcome.AWAITED


def acknowledge(key: str, version: int) -> Acknowledge:
    return Acknowledge(id_of(key, "E"), Change(7, 7), [], "", "", "erp", (0, version), "sequence")


def slot(n: int, value: Any) -> Callable[[list], None]:
    return lambda record: record.__setitem__(n, value)


def held(units: int) -> Callable[[list], None]:
    """Of a reservation's first allocation."""
    return lambda record: record[12][0][3][0].__setitem__(2, units)


class Planted(NamedTuple):
    plant: Callable[[Room], Awaitable[Any]]
    found: list[tuple[str, ...]]  # what, where and whom, name, found, expected


def pos(sku: str, change: Callable[[list], None]) -> Callable[[Room], Awaitable[Any]]:
    return lambda room: room.spoil("pos", f"{sku}\0DC1", change)


A1, A2, OPEN = id_of("a1"), id_of("a2"), id_of("open", "D")
LATE = subject("late-delta", "A", "DC1", "", "")

PLANTED = {
    # First: a repair lets the sku forget its sums until they are needed.
    "sums over positions": Planted(
        lambda room: room.spoil("sku", "A", lambda r: r[8].__setitem__(2, r[8][2] + 4)),
        [("sums", "A", "", "", "other", "other sums")],
    ),
    "held": Planted(pos("A", slot(1, 7)), [("held", "A", "DC1", "", "7", "2")]),
    "committed": Planted(pos("A", slot(2, 1)), [("committed", "A", "DC1", "", "1", "3")]),
    "a day of supply": Planted(
        pos("B", slot(6, [DAY, IN_TEN_DAYS, 12, 3, 5])),
        [
            ("due", "B", "DC1", DAY, "5", "4"),
            ("pegged", "B", "DC1", DAY, "3", "4"),
            ("quantity", "B", "DC1", DAY, "12", "10"),
        ],
    ),
    "a position that is gone": Planted(
        lambda room: room.ask("HDEL", "pos", "C\0DC1"),
        [
            ("held", "C", "DC1", "", "0", "2"),
            ("number", "C", "DC1", "", "", "20"),
            ("places", "C", "", "DC1", "1", "0"),
        ],
    ),
    "a seller's count": Planted(
        lambda room: room.spoil("sku", "A", lambda r: next(w for w in r[7] if w[0] == "web").__setitem__(3, 1)),
        [("used", "A", "", "web", "1", "6")],
    ),
    "what a customer holds": Planted(
        lambda room: room.ask("HSET", "holding", "web\0c1", 9), [("holding", "", "", "web\x1fc1", "9", "4")]
    ),
    "what a customer bought": Planted(
        lambda room: room.ask("HDEL", "buyers:bf", "C\0c1"), [("buyers", "C", "", "bf\x1fc1", "0", "2")]
    ),
    "tentative units of nobody": Planted(
        lambda room: room.ask("HSET", "contended", "A\0DC1", 2), [("contended", "A", "DC1", "", "2", "0")]
    ),
    "acknowledged units that a source counts": Planted(
        lambda room: room.spoil("pos", "E\0S1", lambda r: r[4][0].__setitem__(7, 6)),
        [("included", "E", "S1", "erp", "6", "2")],
    ),
    "acknowledged units that a source will count": Planted(
        lambda room: room.spoil("pos", "E\0S1", lambda r: r[4][0].__setitem__(8, [1, 0, 6, 3])),
        [
            ("pending", "E", "S1", "erp\x1f1\x1f0\x1f5", "0", "3"),
            ("pending", "E", "S1", "erp\x1f1\x1f0\x1f6", "3", "0"),
        ],
    ),
    "units taken for counted that will be": Planted(
        lambda room: room.spoil("pos", "E\0S1", lambda r: r[4][0].__setitem__(slice(7, 9), [5, []])),
        [("included", "E", "S1", "erp", "5", "2"), ("pending", "E", "S1", "erp\x1f1\x1f0\x1f5", "0", "3")],
    ),
    "a position that its sku does not list": Planted(
        lambda room: room.spoil("sku", "A", slot(6, "DC2")), [("places", "A", "", "DC1", "0", "1")]
    ),
    "a location listed twice": Planted(
        lambda room: room.spoil("sku", "D", slot(6, "DC1\0DC1")), [("places", "D", "", "DC1", "2", "1")]
    ),
    "a list of locations that is lost": Planted(
        lambda room: room.spoil("sku", "D", slot(6, "+")), [("places", "D", "", "DC1", "0", "1")]
    ),
    "a basket that nobody looks after": Planted(
        lambda room: room.ask("ZREM", "undecided", OPEN), [("undecided", OPEN, "", "", "", "*")]
    ),
    "an undecided basket that is none": Planted(
        lambda room: room.ask("ZADD", "undecided", 5, A2), [("undecided", A2, "", "", "5", "")]
    ),
    "an event that would wait for ever": Planted(
        lambda room: room.ask("ZREM", "awaited", "Z"),
        [("awaited", "", "", "Z", "", "*"), ("count", "", "", "awaited", "1", "0")],
    ),
    "an event that waits for nothing": Planted(
        lambda room: room.ask("ZADD", "awaited", IN_TEN_DAYS, "W"),
        [("awaited", "", "", "W", "*", ""), ("count", "", "", "awaited", "1", "2")],
    ),
    "how many there are": Planted(
        lambda room: room.ask("HSET", "meta", "awaited", 0, "exceptions", 0, "baskets", 9),
        [
            ("count", "", "", "awaited", "0", "1"),
            ("count", "", "", "baskets", "9", "1"),
            ("count", "", "", "exceptions", "0", "1"),
        ],
    ),
    "an open exception that the ledger forgot": Planted(
        lambda room: room.ask("HDEL", "exception", LATE),
        [("count", "", "", "exceptions", "1", "0"), ("exception", "", "", LATE, "", "*")],
    ),
    "an exception that nobody raised": Planted(
        lambda room: room.ask("HSET", "exception", subject("gap", "", "", "", ""), 3),
        [
            ("count", "", "", "exceptions", "1", "2"),
            ("exception", "", "", subject("gap", "", "", "", ""), "3", ""),
        ],
    ),
    "a deadline that is lost": Planted(
        lambda room: room.ask("ZREM", "due", A1), [("deadline", A1, "", "", "", "*")]
    ),
    "a deadline of nobody": Planted(
        lambda room: room.ask("ZADD", "due", IN_TEN_DAYS, A2), [("deadline", A2, "", "", str(IN_TEN_DAYS), "")]
    ),
    "an order that does not name": Planted(
        lambda room: room.ask("HDEL", "orders", "X"), [("order", A1, "", "X", "", "named")]
    ),
    "an order that names another": Planted(
        lambda room: room.spoil("orders", "X", slot(1, [A1, A2])), [("order", A2, "", "X", "named", "")]
    ),
    "a record that is lost": Planted(
        lambda room: room.ask("HDEL", "res", A2[3:]),
        [("order", A2, "", "Y", "named", ""), ("record", A2, "", "", "", "committed at *")],
    ),
    "a record with other contents": Planted(
        lambda room: room.spoil("res", A1[3:], held(1)),
        [("record", A1, "", "", "held at * with other contents", "held at *")],
    ),
    "a source's number": Planted(
        pos("D", lambda r: r[4][0].__setitem__(1, 25)), [("number", "D", "DC1", "", "25", "20")]
    ),
    "a policy": Planted(
        lambda room: room.spoil("policy", "source/wms", slot(1, '{"kind":"erp"}')),
        [("policy", "", "", "source/wms", '{"kind":"erp"} at *', '{"kind":"wms"} at *')],
    ),
}  # fmt: skip


def like(found: str, wanted: str) -> bool:
    """Whether it is what was wanted, where * stands for a number."""
    return re.fullmatch(re.escape(wanted).replace(r"\*", r"\d+"), found) is not None


async def test_nothing_is_found_where_nothing_differs(room: Room) -> None:
    await stocked(room)
    run, findings = await room.check()
    assert findings == []
    assert run.looked > 10


async def test_what_was_planted_is_found_and_repaired(room: Room) -> None:
    """One after the other: after each repair nothing differs, and the next is planted."""
    await stocked(room)
    for name, planted in PLANTED.items():
        await planted.plant(room)
        _, findings = await room.check()
        shown = sorted((x.what, x.reservation or x.sku, x.location, x.name, x.found, x.expected) for x in findings)
        assert len(shown) == len(planted.found), (name, shown)
        for found, wanted in zip(shown, planted.found, strict=True):
            assert all(map(like, found, wanted)), (name, found, wanted)
        assert all(finding.raised for finding in findings), name
        run, repaired = await room.check(repair=True)
        assert [x.repaired for x in repaired] == [True] * len(repaired), (name, repaired)
        assert run.repaired == len(repaired) > 0, name
        assert (await room.check())[1] == [], name


async def test_what_somebody_mended_is_over(room: Room) -> None:
    await stocked(room)
    await room.spoil("pos", "A\0DC1", slot(1, 9))
    await room.check()
    await room.spoil("pos", "A\0DC1", slot(1, 2))
    await room.check()
    await room.drained()
    (told,) = await room.journal.exceptions("drift")
    assert (told.sku, told.resolution) == ("A", "over")


async def test_a_record_that_ended_in_the_journal_is_only_told(room: Room) -> None:
    """Nobody's units become free on the word of one side; what it holds is held."""
    await stocked(room)
    before = await room.ask("HGET", "res", A1[3:])
    await room.apply(Release(A1, Change(3, 3), "all", []))
    await room.connection.ask("HSET", room.key("res"), A1[3:], before)
    _, findings = await room.check(repair=True)
    told = {x.what: (x.found, x.repaired) for x in findings}
    assert told["record"][0].startswith("held at ")
    assert told.pop("record")[1] is False
    assert told.pop("deadline")[1] is False
    assert told.keys() == {"held", "used", "holding"}
    assert all(repaired for _, repaired in told.values())
    assert (await room.balance("A")).held == 2


async def test_a_leg_that_nobody_tells_of_its_basket(valkey: str, database: str, namespace: str) -> None:
    """Home has changed, and forgot that the leg elsewhere does not know it yet."""
    await migrate(database)
    async with Room(valkey, database, namespace, partitions=2) as room:
        here, home = "A", partition_of("A", 2)
        far = next(sku for sku in "BCDEFGH" if partition_of(sku, 2) != home)
        await room.apply(level(here, 9), level(far, 9))
        lines = [ReserveLine("1", here, 1), ReserveLine("2", far, 2)]
        await room.apply(structs.replace(reserve("k", here), lines=lines))
        sent = confirm("k", here)
        assert (await room.ledger.submit_to(home, sent)).outcome is Outcome.APPLIED  # pyright: ignore[reportArgumentType]
        assert (await room.check())[1] == [], "it is on its way"
        await room.connection.ask("HDEL", room.key("following", home), sent.id)
        _, (finding,) = await room.check()
        assert (finding.what, finding.partition, finding.reservation) == ("leg", 1 - home, sent.id)
        _, (finding,) = await room.check(repair=True)
        assert finding.repaired
        assert (await room.check())[1] == []
        assert (await room.balance(far)).committed == 2
