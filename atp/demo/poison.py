"""Messages that fail by their own content. Each must become exactly one dead letter, and stop nothing."""

from random import Random

from atp.ingest.feed import Event, delta, level


def poison(rng: Random, source: str, id: str, sequence: int, sku: str, location: str) -> Event:
    """One of the ways in which a system sends nonsense; ``sku`` and ``location`` exist."""
    good = level(source, id, [(sku, location, 1)], sequence)
    match rng.randrange(7):
        case 0:
            good.data = b"{not json"
        case 1:
            return level(source, id, [(sku, "demo-nowhere", 7)], sequence)
        case 2:
            return delta(source, id, [(sku, location, -(2**64))], sequence)
        case 3:
            good.type = "atp.stock.nonsense.v1"
        case 4:
            good.sequence = None  # and no time either
        case 5:
            good.headers = {"ce-sequence": "minus one"}
        case _:
            return level(source, id, [(sku, location, 1), (sku, location, 2)], sequence)
    return good
