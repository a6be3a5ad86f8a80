"""What the proof finds when something is wrong."""

import pytest

from atp.bench.keeping import Sample, growing
from atp.bench.peers import Stored
from atp.bench.proof import Sold, conserved, peer_conserved
from atp.bench.shapes import hot

SHAPE = hot("one", 1, 1, 100)


def broken(sold: Sold, acknowledged: int) -> set[str]:
    return {f.name.split(":")[0] for f in conserved(SHAPE, {"ONE-0": sold}, acknowledged) if not f.ok}


@pytest.mark.parametrize(
    ("sold", "acknowledged", "wrong"),
    [
        (Sold(100, 40, 40, 45), 45, set()),
        (Sold(100, 100, 100, 100), 100, set()),
        (Sold(100, 101, 101, 101), 101, {"oversold 0"}),
        (Sold(100, 100, 101, 101), 101, {"oversold 0", "ledger = journal"}),
        (Sold(99, 40, 40, 40), 40, {"oversold 0"}),  # the stock is not what was told: a level was lost or changed
        (Sold(100, 40, 39, 40), 40, {"ledger = journal"}),
        (Sold(100, 40, 40, 40), 41, {"nothing acknowledged is lost"}),
    ],
)
def test_conservation(sold: Sold, acknowledged: int, wrong: set[str]) -> None:
    assert broken(sold, acknowledged) == wrong


def test_a_sku_that_nobody_knows_proves_nothing() -> None:
    assert not conserved(SHAPE, {}, 0)[0].ok


@pytest.mark.parametrize(
    ("free", "reserved", "told", "ok"),
    [(60, 40, 38, True), (-1, 101, 101, False), (60, 41, 40, False), (60, 39, 39, False), (60, 40, 41, False)],
)
def test_peers_are_held_to_the_same(free: int, reserved: int, told: int, ok: bool) -> None:
    assert peer_conserved("peer", {"X": (100, Stored(free, reserved), told)}).ok is ok


def test_an_outbox_that_only_grows_is_found() -> None:
    short, long = [Sample(0, 10), Sample(1, 900), Sample(2, 50)], [Sample(0, 10), Sample(1, 900), Sample(2, 1_800)]
    assert growing([short, short, []], 1_000) == []
    assert growing([short, long], 1_000) == ["round 2 ended with 1,800 waiting"]
