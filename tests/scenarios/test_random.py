"""The two laws are one: any batches of random commands give the same results, entries and state on both.

At P = 8 each rule runs on one partition's library, beside the others on the same server, as baskets within a
partition do. Conservation is checked after every batch as well, so a mistake that both laws share is seen too.
"""

import asyncio
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from atp.domain import commands as c
from atp.domain.entries import LegFollowed
from atp.domain.ids import partition_of, reservation_id
from atp.domain.projection import Day
from atp.domain.records import Asked, Reservation
from atp.domain.results import Result
from atp.domain.rules.contended import BY_SELLER
from atp.domain.sellers import seller_name
from atp.domain.tallies import standing
from tests.scenarios import altered, drawing
from tests.scenarios.drawing.legs import FOREIGN
from tests.scenarios.drawing.reserves import DAYS
from tests.scenarios.laws import START_MS, LuaLaw, RulesLaw, records_in
from tests.scenarios.world import CAMPAIGNS, CHANNELS, LOCATION_BODIES, LOCATIONS


def skus_of(partition: int, partitions: int) -> list[str]:
    """A few skus that live in one partition."""
    return [f"sku-{n}{{}}" for n in range(400) if partition_of(f"sku-{n}{{}}", partitions) == partition][:4]


class LawsAgree(RuleBasedStateMachine):
    """Feeds both laws the same batches."""

    url: str
    loop: asyncio.AbstractEventLoop
    partitions = 1
    runs = 0
    gone = False

    @initialize(partition=st.integers(0, 7))
    def begin(self, partition: int) -> None:
        LawsAgree.runs += 1
        partition %= self.partitions
        self.skus = skus_of(partition, self.partitions)
        self.reference = RulesLaw()
        self.lua = LuaLaw.open(self.loop, self.url, f"r{LawsAgree.runs}p{self.partitions}", partition, self.partitions)
        self.now = START_MS
        self.ids = [reservation_id("client", str(n), self.skus[0]) for n in range(20)]
        self.ids += [reservation_id("client", str(n), self.skus[1]) for n in range(2)]  # the same keys, other baskets
        self.position = self.version = 0
        self.journaled: dict[str, Reservation] = {}
        self.cut_down = False
        self.batch([c.PutPolicy("location", at, LOCATION_BODIES[i % 2]) for i, at in enumerate(LOCATIONS[:3])])
        self.batch(
            [c.Level(sku, at, "wms", 20, "sequence", (0, 0), "", 0, 0) for sku in self.skus[:3] for at in LOCATIONS[:3]]
        )

    def batch(
        self, commands: list[c.Command], settle_max: int = 256, sender: int = 0, *, relief: bool = False
    ) -> list[Result]:
        expected = self.reference.apply(commands, self.now, settle_max, sender, relief=relief)
        found = self.lua.apply(commands, self.now, settle_max, sender, relief=relief)
        assert found == expected
        # What spans partitions is not brought back from the journal: the ledger does not ask for it.
        changed = records_in(found[1])
        self.journaled |= {r.id: deepcopy(r) for r in changed if not any(line.sku in FOREIGN for line in r.lines)}
        self.gone |= any(isinstance(e, LegFollowed) and e.leg.id not in self.reference.state.legs for e in found[1])
        assert self.lua.dump() == self.reference.dump()
        self.conserved()
        state = self.reference.state
        counting = [next((u for a, b, u in state.moved if a < at <= b), at) for at in state.due.values()]
        counting += [*state.awaited.values(), *([state.next_silence] if state.next_silence else [])]
        assert self.lua.next_due == min(counting, default=0)
        return expected[0]

    def sold_as_told(self) -> None:
        """Availability is by definition what the reserve procedure would grant (R11); the laws agree on it."""
        draw = Random(self.reference.state.seq)
        at, group = draw.choice([("", ""), ("", ""), ("", "east"), (draw.choice(LOCATIONS), "")])
        campaign, day = draw.choice(["", "", *CAMPAIGNS]), draw.choice(DAYS)
        asked = Asked(draw.choice(CHANNELS), campaign, at, group, day)
        sku = draw.choice(self.skus)
        assert self.lua.ats(sku, asked, self.now) == self.reference.ats(sku, asked, self.now)

    def conserved(self) -> None:
        """Position counters are the sums of the reservations' allocations, and a hold has a deadline.

        So are the units that a source counts, or will, and what hangs on each day of supply.
        """
        held: dict[tuple[str, str], int] = {}
        committed: dict[tuple[str, str], int] = {}
        pegged: dict[tuple[str, str, str], int] = {}
        due: dict[tuple[str, str, str], int] = {}
        expected: dict[tuple[str, str, str], int] = {}
        for (sku, at, _), supply in self.reference.state.supplies.items():
            expected[sku, at, supply.day] = expected.get((sku, at, supply.day), 0) + supply.left
        counted: dict[tuple[str, str, str], dict[Any, list[int]]] = {}
        state = self.reference.state
        contended: dict[tuple[str, str], int] = {}
        for leg in state.legs.values():
            seller = BY_SELLER + seller_name(leg.channel, leg.campaign)
            for line in leg.lines:
                for a in line.allocations:
                    place = (line.sku, a.location)
                    if a.supply:
                        live = a.held + a.committed
                        pegged[*place, a.supply] = pegged.get((*place, a.supply), 0) + live
                        due[*place, line.needed_by] = due.get((*place, line.needed_by), 0) + live
                    else:
                        held[place] = held.get(place, 0) + a.held
                        committed[place] = committed.get(place, 0) + a.committed
                    for key in [] if leg.seq or not a.held else [place, (seller, line.sku)]:
                        contended[key] = contended.get(key, 0) + a.held
            assert leg.seq or leg.id in state.undecided, "somebody must ask home about it"
        assert state.contended == contended
        assert all(basket.id in state.undecided for basket in state.baskets.values() if basket.deadline)
        for reservation in state.reservations.values():
            units = 0
            for line in reservation.lines:
                assert sum(a.quantity for a in line.allocations) <= line.requested
                for a in line.allocations:
                    place = (line.sku, a.location)
                    if a.supply:
                        live = a.held + a.committed
                        pegged[*place, a.supply] = pegged.get((*place, a.supply), 0) + live
                        due[*place, line.needed_by] = due.get((*place, line.needed_by), 0) + live
                        assert all(t.source == "" or not t.counts for t in a.tallies)
                    else:
                        held[place] = held.get(place, 0) + a.held
                        committed[place] = committed.get(place, 0) + a.committed
                    units += a.held
                    assert min(a.held, a.committed, a.fulfilled, a.released, a.expired) >= 0
                    assert 0 <= a.acknowledged <= a.committed
                    for tally in a.tallies if line.sku not in FOREIGN else ():
                        for version, counted_units in standing(a, tally).live if tally.source else ():
                            assert 0 < counted_units <= a.acknowledged
                            key = (line.sku, a.location, tally.source)
                            counted.setdefault(key, {}).setdefault(version, []).append(counted_units)
            assert (units > 0) == (reservation.id in self.reference.state.due)
        self.counted()
        self.named()
        for sku, item in state.skus.items():
            assert sku not in FOREIGN, "other partitions have its positions"
            for at, position in item.positions.items():
                assert position.held == held.get((sku, at), 0)
                assert position.committed == committed.get((sku, at), 0)
                days = {day for name, place, day in {**pegged, **due, **expected} if (name, place) == (sku, at)}
                for name in days | position.supply.keys():
                    day, key = position.supply.get(name) or Day(), (sku, at, name)
                    assert (day.quantity, day.pegged, day.due) == tuple(d.get(key, 0) for d in (expected, pegged, due))
                for source, known in position.sources.items():
                    versions = {v: sum(units) for v, units in counted.get((sku, at, source), {}).items()}
                    assert known.included == sum(u for v, u in versions.items() if v <= known.version)
                    assert known.pending == {v: u for v, u in versions.items() if v > known.version}

    def named(self) -> None:
        """Reservations are found by the order_ref that they have, and whatever waits will be given up."""
        state = self.reference.state
        named = {(r.order_ref, r.id) for r in state.reservations.values() if r.order_ref}
        assert {(ref, id) for ref, order in state.orders.items() for id in order.ids} == named
        assert all(order.ids or order.waiting for order in state.orders.values())
        waiting = {ref: order.waiting for ref, order in state.orders.items() if order.waiting}
        assert state.awaited == {ref: min(until for until, _ in events) for ref, events in waiting.items()}
        for item in state.skus.values():
            for position in item.positions.values():
                assert all(units > 0 for units in position.shipped.values())
                assert all(x.units > 0 for x in position.aside)

    def counted(self) -> None:
        """What sellers have used, and what customers hold and bought, is what the reservations say."""
        state = self.reference.state
        holding: dict[tuple[str, str], int] = {}
        buyers: dict[tuple[str, str, str], int] = {}
        used = {(sku, who): 0 for sku, item in state.skus.items() for who in item.sellers}
        for r in [*state.reservations.values(), *(leg.reservation() for leg in state.legs.values())]:
            campaign, seller = state.campaigns.get(r.campaign), seller_name(r.channel, r.campaign)
            for line in [line for line in r.lines if line.sku not in FOREIGN]:
                held = sum(a.held for a in line.allocations)
                sold = held + sum(a.committed + a.fulfilled for a in line.allocations)
                share = state.skus[line.sku].sellers.get(seller) if line.sku in state.skus else None
                if share and r.first_seq > share.since:
                    used[line.sku, seller] += sold
                if r.customer:
                    holding[r.channel, r.customer] = holding.get((r.channel, r.customer), 0) + held
                if r.customer and campaign and campaign.phase < 2 and r.first_seq > campaign.since:
                    key = (r.campaign, line.sku, r.customer)
                    buyers[key] = buyers.get(key, 0) + sold
        assert state.holding == {key: units for key, units in holding.items() if units}
        self.cut_down = self.cut_down or bool(state.tombstones)
        if not self.cut_down and not self.gone:  # what was fulfilled long ago, or by a leg that ended, still counts
            bought = {key: units for key, units in state.buyers.items() if key[1]}  # the others are used tickets
            assert bought == {key: units for key, units in buyers.items() if units}
            for (sku, who), units in used.items():
                assert state.skus[sku].sellers[who].used == units

    @rule(seed=st.integers(0, 2**32), size=st.integers(0, 24), step=st.sampled_from([0, 1, 900, 4_000]))
    def random_batch(self, seed: int, size: int, step: int) -> None:
        self.now += step
        draw = Random(seed)
        commands = [drawing.command(self, draw) for _ in range(size)]
        sender = draw.choice([*[0] * 12, 60_000, 60_001, -70_000])
        self.batch(commands, draw.choice([0, 1, 2, 256]), sender, relief=draw.random() < 0.1)
        self.sold_as_told()

    @rule(back=st.sampled_from([0, 0, 3]))
    def journal(self, back: int) -> None:
        self.reference.trim(self.reference.state.seq - back)
        self.lua.trim(self.reference.state.seq - back)

    @rule(step=st.sampled_from([-50_000, 6_000, 20_000, 61_000, 130_000, 700_000, 1_000_000, 86_400_000]))
    def jump(self, step: int) -> None:
        self.now += step
        self.batch([], 3)

    def teardown(self) -> None:
        if hasattr(self, "lua"):
            self.lua.close()


def run(
    url: str,
    loop: asyncio.AbstractEventLoop,
    partitions: int,
    examples: int,
    kind: type[LawsAgree] = LawsAgree,
) -> None:
    """So many random lives of a ``kind`` of machine."""
    machine = type(f"{kind.__name__}{partitions}", (kind,), {"url": url, "loop": loop, "partitions": partitions})
    machine.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    machine.TestCase().runTest()


@pytest.mark.parametrize("partitions", [1, 8])
def test_both_laws_give_the_same_answers(valkey: str, loop: asyncio.AbstractEventLoop, partitions: int) -> None:
    run(valkey, loop, partitions, examples=60)


def test_both_laws_give_the_same_answers_where_much_is_kept_apart(
    valkey: str, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only skus with many locations have, every sku has here."""
    altered.use(monkeypatch, ("PLACES_MAX = 128", "PLACES_MAX = 8"), ("EMPTY_MIN = 4", "EMPTY_MIN = 1"))
    run(valkey, loop, 1, examples=30)


@pytest.mark.soak
@pytest.mark.parametrize("partitions", [1, 8])
def test_both_laws_give_the_same_answers_for_long(
    valkey: str, loop: asyncio.AbstractEventLoop, partitions: int
) -> None:
    run(valkey, loop, partitions, examples=2_000)
