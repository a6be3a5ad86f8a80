"""Each scenario runs on both laws."""

import asyncio
from collections.abc import Iterator

import pytest
import uvloop

from tests.scenarios.laws import LuaLaw, RulesLaw
from tests.scenarios.table import Table


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(params=["rules", "lua"])
def table(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Iterator[Table]:
    """A table on an empty ledger with two warehouses, DC1 before DC2, and a store S1 after them."""
    if request.param == "rules":
        law = RulesLaw()
    else:
        url, namespace = request.getfixturevalue("valkey"), request.getfixturevalue("namespace")
        law = LuaLaw.open(loop, url, namespace)
    table = Table(law)
    table.run(
        """
        location DC1 {"kind":"warehouse"}
        location DC2 {"kind":"warehouse"}
        location S1 {"kind":"store","priority":5}
        """
    )
    yield table
    if isinstance(law, LuaLaw):
        law.check_replay()
        law.close()
