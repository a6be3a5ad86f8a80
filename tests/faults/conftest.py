"""The table of a soak run, and where stacks live."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .table import Tally


@pytest.fixture(scope="session")
def tally() -> Tally:
    """Lines for the table."""
    return Tally({})


@pytest.fixture
def folder() -> Iterator[Path]:
    """A state directory on a real disk, where an fsync is one."""
    with tempfile.TemporaryDirectory(prefix="atp-faults-", ignore_cleanup_errors=True) as path:
        yield Path(path)
