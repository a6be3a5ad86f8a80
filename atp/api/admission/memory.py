"""Memory: what this process has of what it may have."""

import os
from functools import cache
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def used() -> int:
    """Resident bytes; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


@cache
def available() -> int:
    """Bytes of the container, or else of the machine."""
    whole = os.sysconf("SC_PHYS_PAGES") * _PAGE
    for name in _LIMITS:
        try:
            return min(whole, int(Path(name).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return whole
