"""Exact drain: N units, many buyers at once, until nothing is left: N are sold, and nobody is refused wrongly (P4).

Every refusal is checked against the history: results carry the seq they were decided at, so what was free at that
moment is known from all that was granted and given back up to it.
"""

import asyncio
from random import Random
from typing import Any

import pytest
from msgspec import Struct, field

from atp.domain.commands import Change, Level, PutPolicy, Release, Reserve, ReserveLine
from atp.domain.ids import reservation_id
from atp.domain.outcomes import Outcome
from atp.domain.records import Shortfall
from atp.domain.sellers import item_channel
from atp.ledger import Ledger

pytestmark = pytest.mark.anyio

SKU = "A"
LOCATIONS = [f"S-{n:02}" for n in range(12)]
BUYERS = 64


class Sale(Struct):
    """What is for sale, and everything that happened to it."""

    units: int
    seed: int
    gives_back: float = 0.0  # share of the holds that are released again
    floors: dict[str, float] = field(
        default_factory=lambda: {"web": 0.0}
    )  # channel, best rank first → share of the units protected for it
    moves: list[tuple[int, str, int]] = field(default_factory=list)  # (seq, channel, units taken from what is free)
    refusals: list[tuple[int, str, Shortfall]] = field(default_factory=list)  # (seq, channel, figures)
    sold: int = 0

    def levels(self) -> dict[str, int]:
        """The units over the locations: uneven, some with none."""
        draw, levels = Random(self.seed), dict.fromkeys(LOCATIONS, 0)
        for _ in range(self.units):
            levels[draw.choice(LOCATIONS[:10] + LOCATIONS[:2] * 3)] += 1
        return levels

    def protection(self, channel: str) -> int:
        return round(self.units * self.floors[channel])

    def may_have(self, channel: str, free: int, used: dict[str, int]) -> int:
        """What the channel may have of the free units: all but the floors of others, granted by rank (R11)."""
        left, kept = free, 0
        for other in self.floors:
            floor = min(max(0, self.protection(other) - used[other]), left)
            left -= floor
            kept += floor if other != channel else 0
        return free - kept


async def stock(ledger: Ledger, sale: Sale) -> None:
    for n, at in enumerate(LOCATIONS):
        await ledger.put_policy(PutPolicy("location", at, f'{{"kind":"store","priority":{n % 5}}}'))
    for rank, channel in enumerate(sale.floors):
        await ledger.put_policy(PutPolicy("channel", channel, f'{{"priority":{rank}}}'))
        if units := sale.protection(channel):
            share = PutPolicy("item-channel", item_channel(SKU, channel), f'{{"protection":{units}}}')
            await ledger.put_policy(share)
    await ledger.apply(
        [Level(SKU, at, "wms", units, "sequence", (0, 1), "", 0, 0) for at, units in sale.levels().items()]
    )


async def buy(ledger: Ledger, sale: Sale, number: int) -> None:
    """One buyer: asks for one to three units at a time, for less when refused, until not even one is left."""
    draw, channel, most = Random(f"{sale.seed}/{number}"), list(sale.floors)[number % len(sale.floors)], 3
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
        sale.moves.append((result.seq, channel, quantity))
        if draw.random() < sale.gives_back:
            result = await ledger.submit(Release(id, Change(1, 1), "", []))
            assert result.outcome is Outcome.APPLIED
            sale.moves.append((result.seq, channel, -quantity))
            most = 3  # what came back may be had again, and this buyer is the one who knows
        else:
            sale.sold += quantity


def check_refusals(sale: Sale) -> None:
    """Each named what its channel could have had at its seq, and that was less than asked for."""
    moves, free, used = iter([*sorted(sale.moves), (1 << 53, "", 0)]), sale.units, dict.fromkeys(sale.floors, 0)
    seq, seller, units = next(moves)
    for at, channel, figures in sorted(sale.refusals, key=lambda refusal: refusal[0]):
        while seq <= at:
            free -= units
            used[seller] += units
            seq, seller, units = next(moves)
        assert figures.available == sale.may_have(channel, free, used)
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
    pytest.param({}, id="sold as they come"),
    pytest.param({"gives_back": 0.3}, id="a third is given back"),
    pytest.param({"floors": {"web": 0.2, "app": 0.5, "shop": 0.0}}, id="two channels are protected"),
    pytest.param(
        {"floors": {"web": 0.6, "app": 0.6, "shop": 0.0}, "gives_back": 0.3}, id="more is protected than there is"
    ),
]


@pytest.mark.parametrize("kind", SALES)
async def test_exactly_n_units_are_sold(ledger: Ledger, kind: dict[str, Any]) -> None:
    await drain(ledger, Sale(1_000, 1, **kind))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", SALES)
async def test_exactly_n_of_many_units_are_sold(ledger: Ledger, kind: dict[str, Any], seed: int) -> None:
    await drain(ledger, Sale(10_000, seed, **kind))
