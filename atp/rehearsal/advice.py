"""What a rehearsal suggests for the day itself, each with the formula and the figures that went into it."""

from collections.abc import Sequence
from math import ceil

from msgspec import Struct

#: A worker, and the ledger's one thread, are planned for this share of what they can do: the rest is for retries.
_FULL = 0.6
_TTL_STEP_S, _TTL_MIN_S = 30, 60
_TTL_ROOM = 1.2
_WORKERS_MIN = 2


class Advice(Struct):
    """One suggestion; ``why`` is a sentence with the formula."""

    name: str
    value: str
    why: str


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of all lie; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def hold_ttl(paid_s: Sequence[float], ttl_s: int, late: int, expired: int) -> Advice:
    """Long enough for those who pay, and no longer, since all others keep units from buyers for that time."""
    if not paid_s:
        return Advice("hold TTL", f"{ttl_s} s", "nobody paid, so there is nothing to go by: as it is")
    p99 = quantile(paid_s, 0.99)
    value = max(_TTL_MIN_S, ceil(p99 * _TTL_ROOM / _TTL_STEP_S) * _TTL_STEP_S)
    why = (
        f"{_TTL_ROOM} × the {p99:.0f} s within which 99 % of buyers paid, rounded up to {_TTL_STEP_S} s, at least "
        f"{_TTL_MIN_S} s. It is {ttl_s} s now: {late:,} payments came too late, {expired:,} units came back by expiry "
        "only after that time"
    )
    return Advice("hold TTL", f"{value} s", why)


def workers(peak: int, worker_rate: int) -> Advice:
    """API processes for the busiest second."""
    value = max(_WORKERS_MIN, ceil(peak / (worker_rate * _FULL)))
    why = (
        f"the busiest second of the sale has {peak:,} requests; ⌈{peak:,} / ({worker_rate:,} × {_FULL})⌉, at least "
        f"{_WORKERS_MIN}. {worker_rate:,} a second for one process is an assumption (--worker-rate): measure yours"
    )
    return Advice("workers", str(value), why)


def ledger_share(peak: int, us: float) -> Advice:
    """What the busiest second takes of the ledger's one thread."""
    share = peak * us / 1e6
    beyond = "" if share <= _FULL else ". That is too much: spread the start, or open a waiting room"
    why = f"{peak:,} requests × {us:.0f} µs of its CPU each, as measured here; plan for at most {_FULL:.0%}{beyond}"
    return Advice("ledger's thread", f"{share:.1%}", why)
