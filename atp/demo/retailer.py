"""The retailer: where there is stock, which system counts it, what is for sale, and how popular it is.

Everything follows from the seed. ``tag`` makes skus and event ids of one run unlike those of every other, so that a
state directory can see many runs and the books of each stay exact.
"""

from itertools import accumulate
from random import Random

from msgspec import Struct

from atp.demo.settings import Settings

#: Share of skus that stay off sale: their stock goes up and down, which for the others would blur "oversold".
_OFF_SALE = 0.2
#: Share of skus with safety stock.
_WITH_SAFETY = 0.15
#: Share of all units that lies in the hot skus: too little for the demand, so that they sell out one after another.
_HOT_SHARE = 0.06
#: Popularity falls with the rank to this power; 1 is Zipf's law.
_ZIPF = 0.95

_HOT = ("CONSOLE-X", "SNEAKER-ONE-42", "TOUR-TSHIRT-M", "MOON-LAMP", "DRONE-MINI", "ESPRESSO-2")
_WORDS = ("SHIRT", "HOODIE", "JEANS", "BOOT", "MUG", "CHAIR", "DESK", "BIKE", "TENT", "RADIO", "KNIFE", "SCARF")


class Place(Struct, frozen=True):
    """A location, and the feeder whose word counts there."""

    id: str
    kind: str
    priority: int
    feeder: str


PLACES = (
    Place("demo-dc-east", "warehouse", 0, "wms"),
    Place("demo-dc-west", "warehouse", 1, "wms"),
    Place("demo-dc-north", "warehouse", 2, "wms"),
    *(Place(f"demo-store-{number}", "store", 10, "store") for number in range(101, 107)),
    Place("demo-vendor", "vendor", 20, "erp"),
)

#: Feeder → its source.
SOURCES = {"erp": "demo-erp", "wms": "demo-wms", "store": "demo-store"}


class Item(Struct, frozen=True):
    """One sku; ``opening`` are its units per location when the doors open."""

    sku: str
    on_sale: bool
    hot: bool
    safety: int
    opening: dict[str, int]


class Retailer(Struct, frozen=True):
    """The whole range; items on sale stand first, the most popular one first of all."""

    tag: str
    items: list[Item]
    popularity: list[float]  # cumulative, of the items on sale

    @property
    def on_sale(self) -> list[Item]:
        return self.items[: len(self.popularity)]

    @property
    def hot(self) -> list[Item]:
        return [item for item in self.items if item.hot]

    def positions(self, feeder: str) -> dict[tuple[str, str], int]:
        """(sku, location) → opening units, of the places that a feeder counts."""
        places = {place.id for place in PLACES if place.feeder == feeder}
        return {(item.sku, at): units for item in self.items for at, units in item.opening.items() if at in places}


def build(settings: Settings, tag: str) -> Retailer:
    """The retailer that this seed gives."""
    rng = Random(f"retailer {settings.seed}")  # noqa: S311 - a game, no secret
    for_sale = max(1, round(settings.skus * (1 - _OFF_SALE)))
    hot = min(len(_HOT), max(1, for_sale // 20))
    hot_units = _hot_units(round(settings.units * _HOT_SHARE), hot)
    other_units = (settings.units - sum(hot_units)) // max(1, for_sale - hot)
    items = []
    for number in range(settings.skus):
        on_sale, is_hot = number < for_sale, number < hot
        name = _HOT[number] if is_hot else f"{rng.choice(_WORDS)}-{number:05d}"
        units = hot_units[number] if is_hot else max(1, round(other_units * rng.uniform(0.5, 1.5)))
        # Off sale there is always something left, so that going down never makes a shortage.
        opening = _spread(rng, units, is_hot) if on_sale else {at: rng.randint(50, 500) for at in _places(rng, False)}
        safety = rng.randint(1, 3) if rng.random() < _WITH_SAFETY else 0
        items.append(Item(f"{name}.{tag}", on_sale, is_hot, safety, opening))
    weights = ((rank + 1) ** -_ZIPF for rank in range(for_sale))
    return Retailer(tag, items, list(accumulate(weights)))


def _hot_units(units: int, hot: int) -> list[int]:
    """More of what is wanted more, though less so than its share of the demand: the most popular is gone first."""
    weights = [(rank + 1) ** -0.5 for rank in range(hot)]
    return [max(1, round(units * weight / sum(weights))) for weight in weights]


def _places(rng: Random, everywhere: bool) -> list[str]:
    """Warehouses have everything, a store about half, the vendor a third."""
    share = {"warehouse": 1.0, "store": 0.5, "vendor": 0.3}
    return [place.id for place in PLACES if everywhere or rng.random() < share[place.kind]]


def _spread(rng: Random, units: int, everywhere: bool) -> dict[str, int]:
    """Units over places by chance; a position with none is a position too."""
    places = _places(rng, everywhere)
    cuts = sorted(rng.randint(0, units) for _ in places[1:])
    return dict(zip(places, (b - a for a, b in zip([0, *cuts], [*cuts, units], strict=True)), strict=True))
