"""Visits: who comes when, wants what, and does what with it; made up from a seed, or read from a recording."""

from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from atp.domain.rules.policies import Campaign
from atp.rehearsal.errors import RehearsalRefused
from atp.rehearsal.settings import BUYERS_MAX, Settings

Then = Literal["confirm", "release", "leave"]

#: Arrivals are window × u^CURVE for even u: half of all people come in the first eighth of the sale.
_CURVE = 3.0
#: Seconds from hold to payment: most take about three quarters of a minute, one in a hundred more than three minutes.
_PAY_MEDIAN_S, _PAY_SPREAD = 45.0, 0.6
_RELEASE = 0.3  # of those who do not buy and say so
_SIZES, _SIZE_WEIGHTS = (1, 2, 3), (80, 15, 5)
_BOT_TRIES = 3
_BOT_UNITS = 5


class Wanted(Struct, forbid_unknown_fields=True):
    """One line."""

    sku: Annotated[str, Meta(min_length=1, max_length=64)]
    quantity: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1


class Visit(Struct, forbid_unknown_fields=True):
    """One request to reserve. Times in seconds of the sale; ``after`` counts from the hold."""

    at: Annotated[float, Meta(ge=0, le=86_400)]
    lines: Annotated[list[Wanted], Meta(min_length=1, max_length=100)]
    customer: Annotated[str, Meta(max_length=128)] = ""
    then: Then = "leave"
    after: Annotated[float, Meta(ge=0, le=86_400)] = 0.0


def synthesise(campaign: Campaign, settings: Settings) -> list[Visit]:
    """The visits that this seed makes, by time. What was set aside more of is wanted more."""
    rng = Random(f"rehearsal {settings.seed}")  # noqa: S311 - a game, no secret
    skus, weights = list(campaign.skus), list(accumulate(at.quantity for at in campaign.skus.values()))
    most = campaign.per_customer or 1_000_000_000
    visits: list[Visit] = []
    while len(visits) < settings.buyers:
        customer = f"buyer-{len(visits)}"
        sku = rng.choices(skus, cum_weights=weights)[0]
        if rng.random() < settings.bots:
            # There before everybody else, and again at once when refused.
            at = rng.uniform(0, settings.window_seconds / 50)
            line = Wanted(sku, min(most, _BOT_UNITS))
            tries = min(_BOT_TRIES, settings.buyers - len(visits))
            visits += [Visit(at, [line], customer) for _ in range(tries)]
            continue
        at = settings.window_seconds * rng.random() ** _CURVE
        line = Wanted(sku, min(most, rng.choices(_SIZES, _SIZE_WEIGHTS)[0]))
        after = rng.lognormvariate(0, _PAY_SPREAD) * _PAY_MEDIAN_S
        then: Then = "leave" if rng.random() > _RELEASE else "release"
        visits.append(Visit(at, [line], customer, "confirm" if rng.random() < settings.conversion else then, after))
    return sorted(visits, key=lambda visit: visit.at)


_decode = msgspec.json.Decoder(Visit).decode


def recorded(path: Path) -> list[Visit]:
    """The visits of a recording, a JSON object a line. Raises RehearsalRefused with the line that cannot be read."""
    visits: list[Visit] = []
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                if len(visits) == BUYERS_MAX:
                    raise RehearsalRefused(f"{path}: more than {BUYERS_MAX:,} requests")
                try:
                    visits.append(_decode(line))
                except msgspec.DecodeError as problem:
                    raise RehearsalRefused(f"{path}, line {number}: {problem}") from None
    except OSError as problem:
        raise RehearsalRefused(f"{path}: {problem.strerror}") from problem
    if not visits:
        raise RehearsalRefused(f"{path}: no requests in it")
    return sorted(visits, key=lambda visit: visit.at)
