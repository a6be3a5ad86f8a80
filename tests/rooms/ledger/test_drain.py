"""Exact drain: N units, many buyers at once, until nothing is left: N are sold, and nobody is refused wrongly (P4).

Every refusal is checked against the history: results carry the seq they were decided at, so what was free at that
moment is known from all that was granted and given back up to it.
"""

import asyncio
from random import Random

import pytest
from msgspec import Struct, field

from atp.domain.commands import Change, Level, PutPolicy, Release, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.outcomes import Outcome
from atp.domain.records import Shortfall
from atp.ledger import Ledger

pytestmark = pytest.mark.anyio

SKU = "A"
LOCATIONS = [f"S-{n:02}" for n in range(12)]
BUYERS = 64


class Sale(Struct):
    """What is for sale, and everything that happened to it. ``channels`` are taken in turn by the buyers."""

    units: int
    seed: int
    gives_back: float = 0.0  # share of the holds that are released again
    channels: tuple[str, ...] = ("web",)
    moves: list[tuple[int, int]] = field(default_factory=list)  # (seq, units taken from what is free)
    refusals: list[tuple[int, str, Shortfall]] = field(default_factory=list)  # (seq, channel, figures)
    sold: int = 0

    def levels(self) -> dict[str, int]:
        """The units over the locations: uneven, some with none."""
        draw, levels = Random(self.seed), dict.fromkeys(LOCATIONS, 0)
        for _ in range(self.units):
            levels[draw.choice(LOCATIONS[:10] + LOCATIONS[:2] * 3)] += 1
        return levels

    def may_have(self, channel: str, free: int) -> int:
        """What the channel may have of the free units. Without protections: all of them."""
        return free


async def stock(ledger: Ledger, sale: Sale) -> None:
    for n, at in enumerate(LOCATIONS):
        await ledger.put_policy(PutPolicy("location", at, f'{{"kind":"store","priority":{n % 5}}}'))
    await ledger.apply(
        [Level(SKU, at, "wms", units, "sequence", (0, 1), "", 0, 0) for at, units in sale.levels().items()]
    )


async def buy(ledger: Ledger, sale: Sale, number: int) -> None:
    """One buyer: asks for one to three units at a time, for less when refused, until not even one is left."""
    draw, channel, most = Random(f"{sale.seed}/{number}"), sale.channels[number % len(sale.channels)], 3
    while most:
        quantity = draw.randint(1, most)
        id = reservation_id("shop", f"{number}/{len(sale.moves)}/{draw.random()}", SKU)
        lines = [ReserveLine("1", SKU, quantity)]
        result = await ledger.submit(Reserve(id, 1, "shop", channel, "", "", "", "", 600_000, lines))
        if result.outcome is Outcome.INSUFFICIENT:
            (figures,) = result.shortfalls
            sale.refusals.append((result.seq, channel, figures))
            most = min(figures.available, quantity - 1)
            continue
        assert result.outcome is Outcome.APPLIED
        sale.moves.append((result.seq, quantity))
        if draw.random() < sale.gives_back:
            result = await ledger.submit(Release(id, Change(1, 1), "", []))
            assert result.outcome is Outcome.APPLIED
            sale.moves.append((result.seq, -quantity))
            most = 3  # what came back may be had again, and this buyer is the one who knows
        else:
            sale.sold += quantity


def check_refusals(sale: Sale) -> None:
    """Each named what was free at its seq, and that was less than asked for."""
    moves, free = iter([*sorted(sale.moves), (1 << 53, 0)]), sale.units
    seq, units = next(moves)
    for at, channel, figures in sorted(sale.refusals, key=lambda refusal: refusal[0]):
        while seq <= at:
            free -= units
            seq, units = next(moves)
        assert figures.available == sale.may_have(channel, free)
        assert figures.available < figures.requested


async def drain(ledger: Ledger, sale: Sale) -> None:
    await stock(ledger, sale)
    await asyncio.gather(*(buy(ledger, sale, number) for number in range(BUYERS)))
    assert sale.sold == sale.units
    check_refusals(sale)
    assert len(sale.refusals) >= BUYERS  # each buyer's last answer
    (found,) = await ledger.availability([SKU])
    assert {at.balance.location: at.balance.held for at in found.locations} == sale.levels()
    assert {at.balance.free for at in found.locations} == {0}


SALES = [
    pytest.param(0.0, id="sold as they come"),
    pytest.param(0.3, id="a third is given back"),
]


@pytest.mark.parametrize("gives_back", SALES)
async def test_exactly_n_units_are_sold(ledger: Ledger, gives_back: float) -> None:
    await drain(ledger, Sale(1_000, 1, gives_back))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gives_back", SALES)
async def test_exactly_n_of_many_units_are_sold(ledger: Ledger, gives_back: float, seed: int) -> None:
    await drain(ledger, Sale(10_000, seed, gives_back))
