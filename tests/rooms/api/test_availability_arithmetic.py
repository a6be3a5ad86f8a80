"""The numbers of an availability answer add up: whoever re-adds the shown terms gets what is shown as available."""

from collections.abc import Sequence
from random import Random

from atp.api.resources.availability_views import availability_view
from atp.domain.records import Asked, Balance, LocationStock, SkuStock, SourceStock

NOW = 1_795_255_200_000


def balance(location: str, terms: Sequence[int], included: int = 0, measure: str = "on_hand") -> Balance:
    """Number, unsellable, safety stock, held, committed and shipped units of a location, in this order."""
    number, unsellable, safety, held, committed, shipped = terms
    return Balance("A", location, number, unsellable, safety, held, committed, shipped, included, measure)


def stock(*balances: Balance, active: bool = True) -> SkuStock:
    ats = [max(0, balance.free) if active else 0 for balance in balances]
    found = [
        LocationStock(b, active, [SourceStock("wms", "authority", NOW, 400, False, False)], n)
        for b, n in zip(balances, ats, strict=True)
    ]
    return SkuStock("A", 7, found, sum(ats))


def test_ats_re_adds_from_the_shown_terms() -> None:
    draw = Random(7)
    for _ in range(200):
        terms = [(draw.randrange(-5, 60), *(draw.randrange(12) for _ in range(5))) for _ in range(draw.randrange(4))]
        found = stock(*(balance(f"L{n}", each) for n, each in enumerate(terms)))
        view = availability_view("A", found, Asked("web"), 1, NOW)
        for at in view.locations:
            promised = at.held + at.committed + at.shipped_uncounted
            assert at.ats == max(0, at.on_hand - at.unsellable - at.safety_stock - promised)
        assert view.ats == sum(at.ats for at in view.locations) == found.ats
        assert view.held == sum(at.held for at in view.locations)
        assert view.committed == sum(at.committed for at in view.locations)


def test_every_term_counts_once() -> None:
    view = availability_view("A", stock(Balance("A", "DC1", 100, 1, 2, 4, 8, 16)), Asked("web"), 1, NOW)
    (at,) = view.locations
    shown = (at.on_hand, at.unsellable, at.safety_stock, at.held, at.committed, at.shipped_uncounted)
    assert shown == (100, 1, 2, 4, 8, 16)
    assert at.ats == 100 - 31


def test_numbers_of_other_measures_re_add_too() -> None:
    draw = Random(8)
    for measure in ("sellable", "available"):
        for _ in range(50):
            committed, included = draw.randrange(9), draw.randrange(3) if measure == "available" else 0
            terms = (draw.randrange(40), *(draw.randrange(9) for _ in range(3)), committed, draw.randrange(9))
            view = availability_view("A", stock(balance("DC1", terms, included, measure)), Asked("web"), 1, NOW)
            (at,) = view.locations
            promised = at.held + at.committed - (at.committed_included or 0) + at.shipped_uncounted
            assert at.ats == max(0, at.on_hand - at.safety_stock - promised)
            assert at.measure == measure


def test_a_location_that_is_not_active_shows_its_terms_and_sells_nothing() -> None:
    view = availability_view("A", stock(Balance("A", "DC1", 9, 0, 0, 2, 0), active=False), Asked("web"), 1, NOW)
    assert (view.ats, view.held, view.locations[0].on_hand) == (0, 2, 9)
