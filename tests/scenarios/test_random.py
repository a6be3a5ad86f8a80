"""The two laws are one: any batches of random commands give the same results, entries and state on both.

At P = 8 each rule runs on one partition's library, beside the others on the same server, as baskets within a
partition do. Conservation is checked after every batch as well, so a mistake that both laws share is seen too.
"""

import asyncio
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from atp.domain import commands as c
from atp.domain.ids import identity_of, partition_of, reservation_id
from atp.domain.results import Result
from tests.scenarios.laws import START_MS, LuaLaw, RulesLaw

LOCATIONS = ("DC1", "DC2", "S-9", "Zürich{1}", "nowhere")
SOURCES = ("wms", "erp", "pos")
LOCATION_BODIES = (
    '{"kind":"warehouse"}',
    '{"kind":"store","priority":2}',
    '{"kind":"warehouse","active":false}',
    '{"kind":"store","priority":1,"sources":[{"source":"erp","role":"authority"},{"source":"pos","role":"shadow"}]}',
)
ITEM_BODIES = ("{}", '{"safety_stock":2}', '{"safety_stock":1,"safety_stock_by_location":{"DC1":0,"S-9":5}}')
SOURCE_BODIES = ('{"kind":"wms"}', '{"kind":"erp","version":"time"}', '{"kind":"wms","measure":"available"}')


def skus_of(partition: int, partitions: int) -> list[str]:
    """A few skus that live in one partition."""
    return [f"sku-{n}{{}}" for n in range(400) if partition_of(f"sku-{n}{{}}", partitions) == partition][:4]


class LawsAgree(RuleBasedStateMachine):
    """Feeds both laws the same batches."""

    url: str
    loop: asyncio.AbstractEventLoop
    partitions = 1
    runs = 0

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
        self.batch([c.PutPolicy("location", at, LOCATION_BODIES[i % 2]) for i, at in enumerate(LOCATIONS[:3])])
        self.batch(
            [c.Level(sku, at, "wms", 20, "sequence", (0, 0), "", 0, 0) for sku in self.skus[:3] for at in LOCATIONS[:3]]
        )

    def batch(self, commands: list[c.Command], settle_max: int = 256) -> list[Result]:
        expected = self.reference.apply(commands, self.now, settle_max)
        found = self.lua.apply(commands, self.now, settle_max)
        assert found == expected
        assert self.lua.dump() == self.reference.dump()
        self.conserved()
        return expected[0]

    def conserved(self) -> None:
        """Position counters are the sums of the reservations' allocations, and a hold has a deadline."""
        held: dict[tuple[str, str], int] = {}
        committed: dict[tuple[str, str], int] = {}
        for reservation in self.reference.state.reservations.values():
            units = 0
            for line in reservation.lines:
                assert sum(a.quantity for a in line.allocations) <= line.requested
                for a in line.allocations:
                    place = (line.sku, a.location)
                    held[place] = held.get(place, 0) + a.held
                    committed[place] = committed.get(place, 0) + a.committed
                    units += a.held
                    assert min(a.held, a.committed, a.fulfilled, a.released, a.expired) >= 0
                    assert 0 <= a.acknowledged <= a.committed
            assert (units > 0) == (reservation.id in self.reference.state.due)
        for sku, item in self.reference.state.skus.items():
            for at, position in item.positions.items():
                assert position.held == held.get((sku, at), 0)
                assert position.committed == committed.get((sku, at), 0)

    @rule(seed=st.integers(0, 2**32), size=st.integers(0, 24), step=st.sampled_from([0, 1, 900, 4_000]))
    def random_batch(self, seed: int, size: int, step: int) -> None:
        self.now += step
        draw = Random(seed)
        self.batch([self.command(draw) for _ in range(size)], draw.choice([0, 1, 2, 256]))

    @rule(back=st.sampled_from([0, 0, 3]))
    def journal(self, back: int) -> None:
        self.reference.trim(self.reference.state.seq - back)
        self.lua.trim(self.reference.state.seq - back)

    @rule(step=st.sampled_from([-50_000, 61_000, 130_000, 700_000, 1_000_000, 86_400_000]))
    def jump(self, step: int) -> None:
        self.now += step
        self.batch([], 3)

    def command(self, draw: Random) -> c.Command:
        kind = draw.randrange(100)
        if kind < 35:
            return self.reserve(draw)
        if kind < 70:
            return self.lifecycle(draw, kind)
        if kind < 95:
            return self.stock(draw, kind)
        return self.policy(draw)

    def reserve(self, draw: Random) -> c.Command:
        places = ["", "", "", "DC1", "DC2", draw.choice(LOCATIONS)]
        lines = [
            c.ReserveLine(str(i), draw.choice(self.skus), draw.randint(1, 9), draw.choice(places))
            for i in range(draw.choice([1, 1, 2, 4]))
        ]
        new = [i for i in self.ids if identity_of(i) not in self.reference.state.reservations]
        reservation = draw.choice(new if new and draw.random() < 0.7 else self.ids)
        fingerprint = draw.choice([7] * 9 + [8])
        ttl = draw.choice([1_000, 5_000, 600_000, 14_400_000])
        replaces = draw.choice([*[""] * 5, draw.choice(self.ids)])
        customer = draw.choice(["", "", "", "c-1"])
        partial, split, dry = draw.random() < 0.2, draw.random() < 0.8, draw.random() < 0.1
        return c.Reserve(
            reservation, fingerprint, "client", "web", customer, "", "", "", ttl, lines, "t",
            partial, split, dry, replaces,
        )  # fmt: skip

    def lifecycle(self, draw: Random, kind: int) -> c.Command:
        known = [r.id for r in self.reference.state.reservations.values()]
        target = draw.choice(known if known and draw.random() < 0.95 else self.ids)
        change = c.Change(draw.randrange(60), draw.choice([0, 0, 0, 1]))
        lines = [(draw.choice("000001x"), draw.randint(1, 5)) for _ in range(draw.choice([0, 0, 1, 2]))]
        if kind < 48:
            return c.Confirm(target, change, draw.choice(["", "A-1"]), lines, "client", "t", draw.random() < 0.3)
        if kind < 55:
            return c.Release(target, change, draw.choice(["", "held", "committed", "all"]), lines, "why", "client")
        if kind < 59:
            return c.Fulfil(target, change, lines, draw.choice([0, 0, 70, 71]), "client")
        if kind < 62:
            return c.Acknowledge(target, change, lines, "client")
        if kind < 66:
            record = self.reference.state.reservations.get(identity_of(target))
            places = [a.location for line in record.lines for a in line.allocations] if record else []
            source, to = draw.choice(places or LOCATIONS), draw.choice(LOCATIONS[:3] * 3 + LOCATIONS)
            return c.Transfer(target, change, draw.choice("0001x"), source, to, draw.randint(1, 3), "client")
        return c.Extend(target, change, draw.choice([1, 60_000, 14_400_000]), "client")

    def stock(self, draw: Random, kind: int) -> c.Command:
        sku, source = draw.choice(self.skus[:1] * 4 + self.skus), draw.choice(["wms", *SOURCES])
        at = draw.choice(["DC1"] * 6 + list(LOCATIONS))
        version_kind = draw.choice(["time", "sequence"]) if source == "erp" else "sequence"
        self.version += draw.choice([0, 1])
        version = (draw.choice([0, 0, 0, 2**31 - 1]), max(0, self.version - draw.choice([0, 0, 1, 5])))
        if kind == 94:
            return c.Cursor(draw.choice(["STOCK/0", "other"]), max(1, self.position - draw.randrange(4)))
        self.position += draw.choice([0, 1, 2])
        as_of = draw.choice([0, START_MS - 5, self.now])
        if kind < 82:
            measure = draw.choice(["", "", "on_hand", "available"])
            quantity = draw.choice([0, 3, 10, 25, 40, -2, 10**9])
            return c.Level(
                sku, at, source, quantity, version_kind, version, "STOCK/0", self.position, as_of, measure, "e"
            )
        quantity = draw.choice([1, 5, 12, -1, -4, -(10**9)])
        event = draw.randrange(200) * 2**45 + 1
        return c.Delta(sku, at, source, quantity, version_kind, version, "STOCK/0", self.position, as_of, event, "e")

    def policy(self, draw: Random) -> c.Command:
        kind = draw.choice(["location", "location", "item", "item", "source", "client"])
        names = {"location": LOCATIONS[:4], "item": self.skus, "source": SOURCES, "client": ("shop",)}[kind]
        bodies = {"location": LOCATION_BODIES, "item": ITEM_BODIES, "source": SOURCE_BODIES, "client": ("{}",)}[kind]
        expected, version = draw.choice([-1, -1, 0, 4]), draw.choice([0, 0, 9])
        return c.PutPolicy(kind, draw.choice(names), draw.choice(bodies), expected, version, "a")

    def teardown(self) -> None:
        if hasattr(self, "lua"):
            self.lua.close()


def run(url: str, loop: asyncio.AbstractEventLoop, partitions: int, examples: int) -> None:
    machine = type(f"LawsAgree{partitions}", (LawsAgree,), {"url": url, "loop": loop, "partitions": partitions})
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


@pytest.mark.soak
@pytest.mark.parametrize("partitions", [1, 8])
def test_both_laws_give_the_same_answers_for_long(
    valkey: str, loop: asyncio.AbstractEventLoop, partitions: int
) -> None:
    run(valkey, loop, partitions, examples=2_000)
