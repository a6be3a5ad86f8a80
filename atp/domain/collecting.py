"""Collecting: work that builds millions of records at once goes without the cyclic collector.

It would walk through everything built so far again and again, and find nothing: records have no cycles.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside, whoever else builds anything meanwhile."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
