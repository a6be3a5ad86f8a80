"""Composing: what was played, as the report shows it."""

from atp.domain.rules.policies import Campaign
from atp.domain.state import State
from atp.proofs import Check
from atp.rehearsal import advice, conservation
from atp.rehearsal.books import Books, End
from atp.rehearsal.report import Copy, Report, Sku
from atp.rehearsal.settings import Settings

_SHARES = {"p50": 0.5, "p99": 0.99, "max": 1.0}


def compose(
    name: str,
    settings: Settings,
    campaign: Campaign,
    visits: tuple[int, str],
    books: Books,
    after: list[State],
    checks: list[Check],
    cpu_s: float,
    window: str,
) -> Report:
    """The report, but for what its caller knows of the copy and of the live ledger."""
    ends = {end: books.count(end) for end in ("committed", "released", "expired", "held")}
    expired = _total(books, "expired")
    skus = _skus(campaign, conservation.shares_of(after, name), books)
    peak = max(books.requests.values(), default=0)
    us = cpu_s * 1e6 / max(1, books.requests.total())
    return Report(
        ok=all(check.ok for check in checks),
        campaign=name,
        seed=settings.seed,
        copy=Copy([], "", 0, window, ""),
        visits=visits[0],
        visits_from=visits[1],
        window_seconds=settings.window_seconds,
        speed=round(settings.speed, 3),
        hold_ttl_seconds=campaign.ttl_seconds,
        sell_out_s=_sell_out(skus),
        skus=skus,
        reservations={"held in all": len(books.sales), **ends},
        refused=dict(books.refused.most_common()),
        conversion=round(ends["committed"] / max(1, len(books.sales)), 3),
        units={
            "sold": books.units("committed").total(),
            "released": books.units("released").total(),
            "expired": expired,
        },
        latency_ms={text: round(advice.quantile(books.latencies_ms, share), 2) for text, share in _SHARES.items()},
        peak_per_second=peak,
        ledger_us_per_request=round(us, 1),
        sent_again=books.again,
        advice=[
            advice.hold_ttl(books.paid_s, campaign.ttl_seconds, books.late, expired),
            advice.workers(peak, settings.worker_rate),
            advice.ledger_share(peak, us),
        ],
        checks=checks,
        timeline=[(at, books.requests[at], books.granted[at]) for at in sorted(books.requests | books.granted)],
        live={},
    )


def _total(books: Books, end: End) -> int:
    return books.units(end).total()


def _skus(campaign: Campaign, shares: dict[str, tuple[int, int]], books: Books) -> list[Sku]:
    sold = books.units("committed")
    found = []
    for sku, aside in campaign.skus.items():
        bought = sum(units for (name, _), units in sold.items() if name == sku)
        left = aside.quantity - shares.get(sku, (0, 0))[0]
        found.append(
            Sku(sku, aside.quantity, bought, left, _tenth(books.gone_s.get(sku)), _tenth(books.last_sold_s.get(sku)))
        )
    return found


def _sell_out(skus: list[Sku]) -> float | None:
    """When the last unit of the last sku was to be had, if all are gone."""
    last = [s.last_sold_s for s in skus if s.left == 0 and s.last_sold_s is not None]
    return max(last) if last and len(last) == len(skus) else None


def _tenth(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
