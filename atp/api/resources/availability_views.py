"""Views of availability: what callers see of one sku's numbers, and the ETag that tells them from others."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, msgpack, structs

from atp.deadletters import Suspects
from atp.domain.explain import Explanation
from atp.domain.ids import digest53, partition_of
from atp.domain.records import Asked, LocationStock, SkuStock, SourceStock
from atp.domain.times import rfc3339


class StockSourceView(Struct, frozen=True, gc=False):
    """A source of a location's number. The first one is that whose number is sold."""

    source: str
    as_of: Annotated[str | None, Meta(description="When its number was true, by its own word.")]
    lag_seconds: Annotated[float, Meta(description="How late its last event reached the ledger.")]
    role: Annotated[
        Literal["authority", "adjuster", "fallback", "shadow"],
        Meta(
            description="`authority`: its number counts. `adjuster`: its changes count in that number. `fallback`: is "
            "sold beside a silent authority. `shadow`: kept for comparison."
        ),
    ]
    stale: Annotated[
        Literal[True] | UnsetType,
        Meta(
            description="It sends heartbeats and was not heard for longer than its policy allows, or it said so long "
            "ago that this number is another one now."
        ),
    ] = UNSET
    uncertain: Annotated[
        Literal[True] | UnsetType,
        Meta(description="Changes that its number may lack are forgotten: until its next level it is on the low side."),
    ] = UNSET


class PromiseView(Struct, frozen=True, gc=False):
    """How much may be promised for a day."""

    date: Annotated[str, Meta(description="A day at the locations; supply due by then counts.")]
    quantity: Annotated[int, Meta(description="Units, without breaking a promise for a later day.")]


class LocationStockView(Struct, frozen=True):
    """One sku at one location.

    Free are `on_hand` - `unsellable` - `safety_stock` - `held` - `committed` - `shipped_uncounted`. `ats` is that and
    never below 0, less what is protected for other channels and campaigns, and at most what a cap leaves.
    Where `measure` is shown, `on_hand` is already net of `unsellable`, and of the orders in `committed_included`. Where
    `promised_later` is shown, that is subtracted as well.
    """

    location: str
    ats: Annotated[
        int, Meta(description="What a line that names this location would be granted now; 0 where it is not active.")
    ]
    on_hand: Annotated[int, Meta(description="Units by the authority's word; may be negative.")]
    unsellable: Annotated[int, Meta(description="Units that cannot be sold, those not found on the shelf among them.")]
    safety_stock: Annotated[int, Meta(description="Units withheld from sale.")]
    held: Annotated[int, Meta(description="Units reserved until a deadline.")]
    committed: Annotated[int, Meta(description="Units confirmed to orders and not yet shipped.")]
    shipped_uncounted: Annotated[
        int, Meta(description="Units that left, while `on_hand` does not show it yet; subtracted until it does.")
    ]
    sources: list[StockSourceView]
    measure: Annotated[
        Literal["sellable", "available"] | UnsetType, Meta(description="What `on_hand` counts, if not units on hand.")
    ] = UNSET
    committed_included: Annotated[
        int | UnsetType, Meta(description="Part of `committed` that is not subtracted: `on_hand` is net of it already.")
    ] = UNSET
    promised_later: Annotated[
        int | UnsetType, Meta(description="Units that promises for later days need, beyond the supply they hang on.")
    ] = UNSET
    suspect: Annotated[
        bool | UnsetType, Meta(description="True while an event of this position is in the dead letters.")
    ] = UNSET
    on_fallback: Annotated[
        Literal[True] | UnsetType,
        Meta(
            description="The authority was silent. Until its next level of this sku, that of its number and the "
            "fallback's is sold which leaves fewer units."
        ),
    ] = UNSET


class AvailabilityView(Struct, frozen=True):
    """One sku as one atomic reading. A sku nobody has heard of has no locations and 0 units."""

    sku: str
    channel: str
    ats: Annotated[
        int,
        Meta(
            description="Available to sell: the most that one reserve would be granted now. Where stock is protected "
            "for others or capped, the locations' numbers do not add up to it, since each may draw on the same units."
        ),
    ]
    held: int
    committed: int
    locations: list[LocationStockView]
    as_of: Annotated[str, Meta(description="Up to when these numbers are known to hold.")]
    position: Annotated[str, Meta(description="`partition:seq` of the last change of this sku.")]
    stale: Annotated[
        bool,
        Meta(
            description="Whether a source that a number here hangs on has been silent for longer than its policy "
            "allows, which can only be told of sources that send heartbeats, or said so long ago that it has "
            "another; or whether the ledger cannot be asked, and this is what was known last."
        ),
    ]
    campaign: Annotated[str | UnsetType, Meta(description="The campaign that was asked about.")] = UNSET
    explain: Annotated[
        Explanation | UnsetType, Meta(description="With `explain=true`: the terms that add up to `ats`.")
    ] = UNSET
    atp: Annotated[
        list[PromiseView] | UnsetType,
        Meta(description="Available to promise for the day that was asked for, else for each day that has supply due."),
    ] = UNSET


def availability_view(
    sku: str, stock: SkuStock, asked: Asked, partitions: int, now: int, suspects: Suspects | None = None
) -> AvailabilityView:
    """What callers see of ``stock``."""
    locations = [_location(at) for at in stock.locations]
    if suspects is not None:
        locations = [structs.replace(at, suspect=True) if suspects.has(sku, at.location) else at for at in locations]
    return AvailabilityView(
        sku,
        asked.channel,
        stock.ats,
        sum(at.held for at in locations),
        sum(at.committed for at in locations),
        locations,
        rfc3339(now),
        f"{partition_of(sku, partitions)}:{stock.seq}",
        any(s.stale and s.role in ("authority", "adjuster") for at in stock.locations for s in at.sources),
        asked.campaign or UNSET,
        atp=[PromiseView(day, quantity) for day, quantity in stock.atp] or UNSET,
    )


def _location(at: LocationStock) -> LocationStockView:
    b = at.balance
    return LocationStockView(
        b.location,
        at.ats,
        b.number if b.measure == "on_hand" else b.number - b.set_aside,
        b.unsellable + b.set_aside if b.measure == "on_hand" else b.unsellable,
        b.safety_stock,
        b.held,
        b.committed,
        b.shipped_uncounted,
        [_source(source) for source in at.sources],
        UNSET if b.measure == "on_hand" else b.measure,  # pyright: ignore[reportArgumentType]
        b.included if b.measure == "available" else UNSET,
        at.promised_later or UNSET,
        on_fallback=at.on_fallback or UNSET,
    )


def _source(s: SourceStock) -> StockSourceView:
    as_of = rfc3339(s.as_of) if s.as_of else None
    return StockSourceView(s.source, as_of, s.lag_ms / 1000, s.role, s.stale or UNSET, s.uncertain or UNSET)  # pyright: ignore[reportArgumentType]


def etag_of(view: AvailabilityView) -> str:
    """Of everything but the times: a policy that changes the numbers without an entry of the sku changes it too."""
    numbers = [
        (at.location, at.ats, at.on_hand, at.unsellable, at.safety_stock, at.held, at.committed,
         at.shipped_uncounted, [(s.source, s.role, bool(s.stale), bool(s.uncertain)) for s in at.sources],
         at.measure or "", at.committed_included or 0, at.promised_later or 0, at.suspect or False,
         bool(at.on_fallback))
        for at in view.locations
    ]  # fmt: skip
    promises = view.atp or []  # a day that begins changes them without an entry too
    whole = (view.sku, view.channel, view.campaign or "", view.ats, view.position, view.stale, numbers, promises)
    if view.explain:
        whole += (view.explain,)
    return f'"{digest53(msgpack.encode(whole)):x}"'
