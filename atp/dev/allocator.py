"""Allocator: the malloc that the embedded Valkey should have.

Valkey's own builds bring jemalloc. The wheel's uses libc's, which searches ever more free pieces as holds accumulate: a
reserve then costs the server a third more (docs/reference/hot-path.md).
"""

import sys
import sysconfig
from collections.abc import Iterable
from glob import glob

#: What the extra ``quickstart`` brings, the same on every machine; else Debian's libjemalloc2 and what others call it.
PLACES = (
    sysconfig.get_path("platlib") + "/cmeel.prefix/lib/libmimalloc.so.3",
    "/usr/lib/*-linux-gnu/libjemalloc.so.2",
    "/usr/lib64/libjemalloc.so.2",
    "/usr/lib/libjemalloc.so.2",
)


def preloaded(places: Iterable[str] = PLACES) -> dict[str, str]:
    """The variable of the environment that has the linker load the first that is found; {} where none is."""
    if sys.platform != "linux":
        return {}
    for place in places:
        if found := sorted(glob(place)):
            return {"LD_PRELOAD": found[0]}
    return {}
