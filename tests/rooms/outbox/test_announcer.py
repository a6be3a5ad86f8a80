"""Which skus are read when: at most ten events a second of one, the last state always, and a share of the ledger."""

from collections import Counter
from itertools import pairwise

import pytest
from msgspec import structs

from atp.ledger.pace import LINES_MIN
from atp.outbox.announcer import Announcer
from atp.outbox.settings import Settings

SETTINGS = Settings()


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Sale:
    """Changes and readings in the clock's time, of which a reading takes ``sku_us`` for each sku."""

    def __init__(self, clock: Clock, sku_us: float) -> None:
        self.clock, self.sku_us = clock, sku_us
        self.seq, self.changed = 0, dict[str, int]()
        self.spent_us, self.readings = 0, list[int]()

    def sell(self, announcer: Announcer, sku: str) -> None:
        self.seq += 1
        self.changed[sku] = self.seq
        announcer.touch(sku, self.seq)

    def tell(self, announcer: Announcer) -> list[str]:
        """What the publisher does in a round, and whose events it sent."""
        skus = announcer.ready()
        if skus:
            spent_us = int(len(skus) * self.sku_us)
            self.clock.now += spent_us / 1e6
            announcer.read(len(skus), spent_us)
            self.spent_us += spent_us
            self.readings.append(len(skus))
        for sku in skus:
            announcer.sent(sku, self.changed[sku])
        return skus


def run(announcer: Announcer, sale: Sale, seconds: float) -> list[tuple[float, str]]:
    """Rounds of 5 ms; when each event was sent, and of what."""
    events, until = list[tuple[float, str]](), sale.clock.now + seconds
    while sale.clock.now < until:
        events += [(sale.clock.now, sku) for sku in sale.tell(announcer)]
        sale.clock.now += 0.005
    return events


def sold_once(skus: int, sku_us: float, seconds: float, partitions: int = 1) -> Sale:
    """So many skus are sold at once, and told of for so long."""
    clock = Clock()
    announcer, sale = Announcer(SETTINGS, partitions, clock), Sale(clock, sku_us)
    for n in range(skus):
        sale.sell(announcer, f"S{n}")
    run(announcer, sale, seconds)
    return sale


def test_a_sku_that_sells_all_the_time_has_ten_events_a_second_and_its_last_state() -> None:
    clock = Clock()
    announcer, sale, events = Announcer(SETTINGS, clock=clock), Sale(clock, 10), list[float]()
    for _ in range(400):
        sale.sell(announcer, "A")
        events += [at for at, _ in run(announcer, sale, 0.005)]
    assert 19 <= len(events) <= 21
    assert all(later - at >= SETTINGS.announce_every_s for at, later in pairwise(events))
    run(announcer, sale, 0.2)
    assert announcer.shown("A") == sale.seq
    assert not announcer.owes
    assert announcer.lag_s == 0


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("sku_us", [5, 60, 5_000])
def test_readings_take_no_more_of_the_ledger_than_their_share(sku_us: float, partitions: int) -> None:
    """All partitions are in one server, so each has a part of it."""
    sale = sold_once(20_000, sku_us, 5.0, partitions)
    share = SETTINGS.announce_share / partitions
    last = sale.readings[-1] * sku_us / 1e6 * (1 / share)  # whose pause lies behind the end
    assert sale.spent_us / 1e6 <= share * (5.0 + last)


def test_skus_that_cost_little_are_read_as_often_as_they_may() -> None:
    sale = sold_once(60_000, 5, 4.0)
    assert len(sale.readings) >= 4 / (SETTINGS.announce_every_s / 4 + 0.005) - 1
    assert max(sale.readings) == pytest.approx(SETTINGS.announce_max, abs=5)


def test_a_reading_is_as_long_as_gathering_pays_for_and_no_longer_than_is_worth_a_call() -> None:
    """Else a sku that sells all the time would wait behind hundreds that cost much."""
    sale = sold_once(10_000, 500, 20.0)
    assert sale.readings[-1] == LINES_MIN


def test_while_more_changes_than_can_be_read_events_show_several_and_each_sku_has_its_turn() -> None:
    clock = Clock()
    announcer, sale, skus = Announcer(SETTINGS, clock=clock), Sale(clock, 200), [f"S{n}" for n in range(2_000)]
    told: list[str] = []
    for step in range(2_000):  # 1,000 sales a second, 500 readings
        for n in range(5):
            sale.sell(announcer, skus[(7 * step + n * 400) % len(skus)])
        told += [sku for _, sku in run(announcer, sale, 0.005)]
    assert len(told) < 0.6 * sale.seq
    counts = Counter(told)
    assert max(counts.values()) - min(counts[sku] for sku in skus) <= 1
    assert 0 < announcer.lag_s < 2_000 * 200e-6 / SETTINGS.announce_share * 1.1
    owed = announcer.settled_through(sale.seq)
    run(announcer, sale, 10.0)
    assert owed < announcer.settled_through(sale.seq) == sale.seq
    assert all(announcer.shown(sku) == seq for sku, seq in sale.changed.items())


def test_the_lag_is_that_of_the_sku_that_waits_longest() -> None:
    clock = Clock()
    announcer = Announcer(structs.replace(SETTINGS, announce_max=1), clock=clock)
    announcer.touch("A", 1)
    clock.now += 1
    announcer.touch("B", 2)
    announcer.touch("A", 3)
    clock.now += 1
    assert announcer.lag_s == 2
    assert announcer.ready() == ["A"]
    announcer.sent("A", 3)
    assert announcer.lag_s == 1
