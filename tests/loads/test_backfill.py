"""The backfill's script measures what it says it measures."""

import asyncio

from rich.console import Console

from loadtests.backfill.__main__ import measure


def test_every_position_is_taken_and_nothing_is_left_to_sweep() -> None:
    told = asyncio.run(measure(2_500, ["DC-0", "DC-1"], Console(quiet=True)))
    assert told.positions == 2_500
    assert told.seconds > 0
    assert 50 < told.ledger_bytes_per_position < 500
    assert told.ingest_peak_bytes > 10_000_000
