"""Memory: changes of a number above its last level, so that a level that comes later is taken with them (R8, R15)."""

from atp.domain.records import Version, split_version
from atp.domain.state import RECENT_CUT, RECENT_MAX, SourceNumber

#: Generation of the versions that adjusters' changes are remembered by: their times, in ms. A source's own begin at 1.
BY_TIME = 0

#: Event of what left by orders: remembered by its version, with all else that left as of the same one.
DATED = 0


def by_time(as_of: int) -> Version:
    """The version of a change that is compared by its time, ms."""
    return BY_TIME, *split_version(as_of)


def time_of(version: Version) -> int:
    return (version[1] << 32) + version[2]


def change(known: SourceNumber, event: int, version: Version, quantity: int) -> None:
    """Change the number once, and remember by what: a level that comes later may not include it (R8)."""
    known.number += quantity
    key = event or version
    quantity += known.recent.get(key, (version, 0))[1]
    known.recent[key] = (version, quantity)
    if not quantity and event == DATED:
        del known.recent[key]
    if len(known.recent) > RECENT_MAX:
        _forget(known)


def _forget(known: SourceNumber) -> None:
    """Forget the oldest changes by version; a level below them can no longer be re-based exactly (R8)."""
    oldest = sorted((v, -1 if key == v else key, key) for key, (v, _) in known.recent.items())[:RECENT_CUT]
    for version, _, key in oldest:
        del known.recent[key]
        if version[0] == BY_TIME:
            known.forgotten_at = max(known.forgotten_at, time_of(version))
        else:
            known.floor = max(known.floor, version)
