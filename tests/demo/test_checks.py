"""Each check turns red by what it is there to find; the demo's own runs show that they can be green."""

from collections.abc import Callable

import pytest

from atp.demo import checks, documents
from atp.demo.books import Books, Request, Sale, SoldLine
from atp.demo.retailer import Item, Retailer, build
from atp.demo.settings import Settings
from atp.proofs import Check

REQUEST = Request("key", "A")
ID = REQUEST.id("dev")
COUNTS = {("A", "dc"): 5, ("B", "dc"): 7}
RETAILER = Retailer("t", [Item("A", True, True, 1, {"dc": 5}), Item("B", True, False, 0, {"dc": 7})], [1.0, 2.0])


@pytest.fixture
def books() -> Books:
    """One sale: three of A bought, one of B given back."""
    lines = [SoldLine("1", "A", 3, {"dc": 3}, "committed"), SoldLine("2", "B", 1, {"dc": 1}, "released")]
    return Books(sales={ID: Sale(ID, lines, 0.0, REQUEST)})


def stock(**changed: int) -> dict[checks.Position, documents.Place]:
    """What availability shows if all is well, but for A's ``changed`` fields."""
    a = {"ats": 1, "on_hand": 5, "safety_stock": 1, "held": 0, "committed": 3, **changed}
    return {("A", "dc"): documents.Place("dc", **a), ("B", "dc"): documents.Place("dc", 7, 7, 0, 0, 0)}


def reservation(state: str = "committed", at: str = "dc", committed: int = 3, held: int = 0) -> documents.Reservation:
    first = documents.Line("1", "A", 3, 3, held, committed, 0, 0, 0, [documents.Allocation(at, 3)])
    second = documents.Line("2", "B", 1, 1, 0, 0, 0, 1, 0, [documents.Allocation("dc", 1)])
    return documents.Reservation(ID, state, [first, second], "0:9")


def test_all_is_well(books: Books) -> None:
    assert checks.oversold(COUNTS, books, stock()).ok
    assert checks.numbers(COUNTS, RETAILER, books, stock()).ok
    assert checks.lost(books, {ID: reservation()}).ok
    assert checks.phantoms(books, "dev", {"other": 404}).ok
    assert checks.stranded(books, stock(), True, (2, [])).ok
    assert checks.answers(books, 0).ok


def test_one_unit_more_than_counted_is_oversold(books: Books) -> None:
    found = checks.oversold({**COUNTS, ("A", "dc"): 2}, books, stock())
    assert not found.ok
    assert found.detail.startswith("1 units of 3 sold")
    assert found.offenders == ["A at dc: 1 too many"]


def test_held_units_count_as_promised(books: Books) -> None:
    assert not checks.oversold(COUNTS, books, stock(held=3)).ok


@pytest.mark.parametrize("changed", [{"on_hand": 6}, {"committed": 2}, {"safety_stock": 0}, {"ats": 2}])
def test_a_wrong_figure_of_availability_is_found(books: Books, changed: dict[str, int]) -> None:
    assert not checks.numbers(COUNTS, RETAILER, books, stock(**changed)).ok


def test_a_position_that_is_missing_or_too_many_is_found(books: Books) -> None:
    seen = stock()
    assert not checks.numbers({**COUNTS, ("B", "store"): 1}, RETAILER, books, seen).ok
    assert not checks.numbers({("A", "dc"): 5}, RETAILER, books, seen).ok


@pytest.mark.parametrize(
    "answer",
    [
        404,
        reservation("held"),
        reservation(at="elsewhere"),
        reservation(committed=2),
        reservation(committed=2, held=1),
    ],
)
def test_a_reservation_that_is_not_as_its_buyer_knows_it_is_lost(
    books: Books, answer: documents.Reservation | int
) -> None:
    assert not checks.lost(books, {ID: answer}).ok


@pytest.mark.parametrize(
    "spoil",
    [
        lambda books: checks.lost(Books(unsettled=["POST: no answer"]), {}),
        lambda books: checks.phantoms(books, "dev", {"other": reservation()}),
        lambda books: checks.phantoms(books, "another client", {}),
        lambda books: checks.stranded(books, stock(held=1), True, (0, [])),
        lambda books: checks.stranded(books, stock(), False, (0, [])),
        lambda books: checks.stranded(books, stock(), True, (0, ["one unit cannot be bought"])),
        lambda books: checks.answers(Books(contradictions=["201 without a reservation"], contradicted=1), 0),
    ],
)
def test_what_must_not_be_is_found(books: Books, spoil: Callable[[Books], Check]) -> None:
    found = spoil(books)
    assert not found.ok
    assert found.offenders


def test_a_seed_gives_the_same_retailer_again() -> None:
    small = Settings(skus=200, units=4_000, seed=3)
    assert build(small, "t") == build(small, "t")
    assert build(small, "t") != build(Settings(skus=200, units=4_000, seed=4), "t")


def test_units_asked_for_are_for_sale() -> None:
    for_sale = sum(sum(item.opening.values()) for item in build(Settings(), "t").on_sale)
    assert for_sale == pytest.approx(Settings().units, rel=0.05)
