"""Collecting: when the cyclic collector is worth its time. Records have no cycles: what nobody refers to is gone."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside, whoever else builds anything meanwhile.

    For work that builds millions of records at once: it would walk through everything built so far, again and again.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def rarely() -> None:
    """What is loaded by now is never looked at again, and what requests leave only every 50,000 objects.

    By Python's own setting a busy process looks every few requests at all that are under way: a fifth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
