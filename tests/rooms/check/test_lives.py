"""Random lives of a ledger, of everything it can do, have no drift: what the check expects is what the law keeps."""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest
import uvloop

from atp.domain.commands import Abort, Decide, DropLeg, Followed, FollowHome, OpenBasket, TakeLeg
from atp.journal import migrate
from tests.rooms.check.room import Room
from tests.scenarios import drawing, every
from tests.scenarios.test_random import LawsAgree

_SPANNING = (OpenBasket, TakeLeg, Decide, Abort, DropLeg, FollowHome, Followed)

#: In the short run one; the long one has many.
SEEDS = range(1)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()


class Life(LawsAgree):
    """Of a ledger with one partition, where no basket spans several."""

    def random_batch(self, seed: int, size: int, step: int) -> None:
        self.now += step
        draw = Random(seed)
        drawn = [drawing.command(self, draw) for _ in range(size)]
        self.batch([command for command in drawn if not isinstance(command, _SPANNING)], draw.choice([0, 1, 256]))


def live_and_check(loop: asyncio.AbstractEventLoop, valkey: str, database: str, seed: int, batches: int) -> None:
    machine, draw = every.machine(valkey, loop, Life), Random(seed)
    try:
        machine.begin(partition=0)
        for _ in range(batches):
            if draw.random() < 0.1:
                machine.jump(step=draw.choice([-50_000, 6_000, 20_000, 61_000, 130_000, 700_000]))
            machine.random_batch(draw.getrandbits(32), draw.randrange(25), draw.choice([0, 1, 900, 4_000]))
        loop.run_until_complete(check(valkey, database, namespace_of(machine)))
    finally:
        machine.teardown()


def namespace_of(machine: LawsAgree) -> str:
    return machine.lua._prefix[1:].partition(":")[0]


async def check(valkey: str, database: str, namespace: str) -> None:
    await migrate(database)
    async with Room(valkey, database, namespace) as room:
        await room.drained()
        run, findings = await room.check()
        assert findings == []
        assert run.looked > 20


@pytest.mark.parametrize("seed", SEEDS)
def test_lives_have_no_drift(loop: asyncio.AbstractEventLoop, valkey: str, database: str, seed: int) -> None:
    live_and_check(loop, valkey, database, seed, 40)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 200))
def test_many_lives_have_no_drift(loop: asyncio.AbstractEventLoop, valkey: str, database: str, seed: int) -> None:
    live_and_check(loop, valkey, database, seed, 120)
