"""What the reference knows of one sku, as the reading that the ledger gives of it."""

from copy import deepcopy

from atp.domain.commands import ReserveLine
from atp.domain.explain import LocationReading, SellerReading, SkuReading, SourceReading
from atp.domain.projection import lowest
from atp.domain.records import Asked, SourceStock
from atp.domain.rules.batch import Batch
from atp.domain.rules.sourcing import Sourcing
from atp.domain.state import Source, SourceNumber
from tests.scenarios.laws import RulesLaw


def reading_of(law: RulesLaw, sku: str, asked: Asked, now: int) -> SkuReading:
    """Locations in the order of answers: by rank, then those without a policy."""
    state = deepcopy(law.state)
    batch, item = Batch(state, now), state.skus.get(sku)
    if item is None:
        return SkuReading(sku, 0, 0, [], 0, 0, False, [])
    ats, each, promises = law.ats(sku, asked, now)
    known = {at: batch.location(at) for at in each}
    ranked = sorted(each, key=lambda at: (policy.priority if (policy := known[at]) else 0, at))
    ordered = [at for at in ranked if known[at]] + [at for at in ranked if not known[at]]
    uncapped = Sourcing(batch, asked.channel, asked.campaign, capped=False)
    locations = []
    for at in ordered:
        policy, (version, body) = known[at], state.policies.get(("location", at), (0, ""))
        locations.append(
            LocationReading(
                batch.balance(sku, at), policy is not None and policy.active, batch.selling(sku, at), version, body,
                _sources(batch, sku, at), uncapped.free(sku, at), each[at],
                _promised_later(batch, sku, at), batch.on_fallback(sku, at), _listed(batch, sku, at),
            )
        )  # fmt: skip
    if asked.location:
        whole = sum(at.uncapped for at in locations)
    else:
        whole = sum(units for _, units, _ in uncapped.fill(ReserveLine("", sku, 0, "", asked.location_group), 10**15))
    campaign = batch.campaign(asked.campaign) if asked.campaign else None
    may_sell = not asked.campaign or bool(
        campaign and campaign.opens <= batch.now < campaign.closes
        and (not campaign.channels or asked.channel in campaign.channels)
    )  # fmt: skip
    return SkuReading(
        sku, item.seq, item.policy_version, locations, whole, ats, may_sell, _sellers(batch, sku), promises
    )


def _promised_later(batch: Batch, sku: str, location: str) -> int:
    policy, free = batch.location(location), batch.balance(sku, location).free
    if policy is None or not policy.active:
        return 0
    days = batch.sku(sku).positions[location].supply
    return max(0, free) - max(0, lowest(free, days, "", batch.now))


def _sellers(batch: Batch, sku: str) -> list[SellerReading]:
    item, sourcing = batch.sku(sku), Sourcing(batch, "nobody")
    floors, ranked = sourcing._floors_of(sku, ""), sourcing._ranked_sellers(item)
    granted = dict(zip(ranked, floors.granted, strict=True)) if floors else {}
    return [
        SellerReading(name, share.protection, share.cap, share.used, share.version, granted.get(name, 0))
        for name in [*ranked, *(name for name in item.sellers if name not in ranked)]
        for share in [item.sellers[name]]
    ]


def _sources(batch: Batch, sku: str, at: str) -> list[SourceReading]:
    state = batch.state
    return [
        SourceReading(
            source, state.sources[source].version_kind, known.number, known.has_level, known.version, known.as_of,
            state.sources[source].lag_ms, sum(quantity for _, quantity in known.recent.values()), len(known.recent),
            known.version < known.floor, batch.balance_by(sku, at, source).free,
        )
        for source, known in batch.sku(sku).positions[at].sources.items()
    ]  # fmt: skip


def _listed(batch: Batch, sku: str, at: str) -> list[SourceStock]:
    """The source that is sold, then those that the location lists, then others that said something."""
    policy, numbers = batch.location(at), batch.sku(sku).positions[at].sources
    named = [batch.selling(sku, at), *(listed.source for listed in (policy.sources if policy else [])), *numbers]
    found = []
    for source in dict.fromkeys(filter(None, named)):
        known, about = numbers.get(source) or SourceNumber(), batch.state.sources.get(source) or Source("")
        heard = max(about.last_heard, batch.state.silence_from)
        begun = ([heard] if about.beats else []) + list(known.touched[:1])
        stale = any(batch.now - at >= batch.source_policy(source).stale_after_seconds * 1000 for at in begun)
        found.append(SourceStock(source, batch.role(source, at), known.as_of, about.lag_ms, stale, known.uncertain))
    return found
