"""Explain: the terms behind an availability answer, which re-add to it (DESIGN §1 P6).

A reading is everything that one sku's availability is made of, at one position: the ledger gives the newest, the
journal those before it. ``explain`` turns it into terms with signs. Of a location, the terms add up to ``free``, and
with its limits to what a line naming it would be granted; of the sku, the terms add up to ``ats``. Terms of 0 units are
left out, levels aside.
"""

from typing import Annotated

from msgspec import Meta, Struct, json

from atp.domain.records import Asked, Balance, LocationStock, SkuStock, SourceStock, Version
from atp.domain.sellers import SEPARATOR, seller_name
from atp.domain.times import rfc3339

_YEAR_10000_US = 253_402_300_800_000_000  # later than any date that can be written


class SourceReading(Struct, array_like=True):
    """What one source says of one position."""

    source: str
    version_kind: str
    number: int  # the level and the deltas above it
    has_level: bool
    version: Version  # of the last level
    as_of: int  # ms, 0 if unknown
    lag_ms: int
    deltas: int  # sum of the deltas above the level that are remembered
    delta_count: int  # −1: too many to be added up in one reading
    forgotten: bool  # deltas above the level are not remembered any more: they stand inside the rest of the number
    free: int = 0  # what the position would have free by this number


class LocationReading(Struct, array_like=True):
    """One position with the policy of its location."""

    balance: Balance
    active: bool
    selling: str  # the source whose number is sold
    policy_version: int
    policy: str  # JSON text, or "" for a location without one
    sources: list[SourceReading]
    uncapped: int  # what a line naming it would be granted, were there no ceiling and no window
    ats: int  # what it would be granted
    promised_later: int = 0  # free units that promises for later days need (R10)
    on_fallback: bool = False  # the authority was silent: the lower of its and the fallback's number is sold (R12)
    listed: list[SourceStock] = []  # as an availability answer has them

    @property
    def counting(self) -> SourceReading | None:
        """The source whose number counts, once it has sent one."""
        return next((known for known in self.sources if known.source == self.selling), None)


class SellerReading(Struct, array_like=True):
    """A channel's or a campaign's share of the sku."""

    name: str  # see domain/sellers.py
    protection: int
    cap: int  # −1 for none
    used: int
    version: int
    granted: int  # of its floor, what is still kept for it


class SkuReading(Struct, array_like=True):
    """One sku as one atomic reading, for one seller and the places that were asked about."""

    sku: str
    seq: int  # last change of the sku
    policy_version: int  # of its item policy
    locations: list[LocationReading]
    uncapped: int
    ats: int
    may_sell: bool  # false for a campaign that is not open, or not for this channel
    sellers: list[SellerReading]  # those with a floor first, by rank
    atp: list[tuple[str, int]] = []  # by day, as an availability answer shows it (R10)

    def stock(self) -> SkuStock:
        """The same as an availability answer reads it."""
        return SkuStock(self.sku, self.seq, [_stock(at) for at in self.locations], self.ats, self.atp)


class Term(Struct, frozen=True, omit_defaults=True):
    """One number of a sum, and who is responsible for it."""

    term: Annotated[str, Meta(description="What it is: `level`, `deltas`, `held`, `committed`, `protection`, ….")]
    quantity: Annotated[int, Meta(description="Units with their sign.")]
    location: str = ""
    source: Annotated[str, Meta(description="The source that said so.")] = ""
    version: Annotated[str, Meta(description="Version of the source's level: sequence, or time.")] = ""
    as_of: Annotated[str, Meta(description="When it was true, by the source's word.")] = ""
    policy_version: Annotated[int, Meta(description="Version of the policy it comes from.")] = 0
    channel: Annotated[str, Meta(description="Whose floor or ceiling it is.")] = ""
    campaign: Annotated[str, Meta(description="Whose floor or ceiling it is.")] = ""


class OtherNumber(Struct, frozen=True, omit_defaults=True):
    """What another source says; it does not count. On fallback that is the higher of the two numbers."""

    source: str
    role: Annotated[str, Meta(description="As the location lists it, or `unlisted`.")]
    quantity: int
    free: Annotated[int, Meta(description="What the location would have free by this number.")] = 0
    version: str = ""
    as_of: str = ""


class LocationExplanation(Struct, frozen=True):
    """One location. `terms` add up to `free`; `free` and `limits` to `ats`."""

    location: str
    terms: list[Term]
    free: int
    limits: list[Term]
    ats: int
    other_sources: list[OtherNumber]
    on_fallback: Annotated[
        bool, Meta(description="The authority was silent; until its next level the lower of two numbers is sold.")
    ] = False


class Explanation(Struct, frozen=True):
    """One sku. `terms` add up to `ats`: the free stock of each location, less the shares of others, up to the cap."""

    terms: list[Term]
    ats: int
    locations: list[LocationExplanation]


def explain(reading: SkuReading, asked: Asked, *, others_named: bool = True) -> Explanation:
    """The terms of an answer to ``asked``; with ``others_named`` it says for whom units are kept."""
    me = seller_name(asked.channel, asked.campaign)
    mine = next((seller for seller in reading.sellers if seller.name == me), None)
    share = (reading.may_sell, me, mine.version if mine else 0)
    terms = [Term("location", open_stock(at), location=at.balance.location) for at in reading.locations]
    terms += _protections(reading, me, everywhere=not (asked.location or asked.location_group), named=others_named)
    terms += _ceiling(reading.uncapped, reading.ats, *share)
    locations = [_explain_location(at, reading.policy_version, share) for at in reading.locations]
    return Explanation(terms, reading.ats, locations)


def open_stock(at: LocationReading) -> int:
    """Units before anybody's share; a shortage lends nothing, and a location that is not active sells nothing."""
    return max(0, at.balance.free) - at.promised_later if at.active else 0


def _protections(reading: SkuReading, me: str, *, everywhere: bool, named: bool) -> list[Term]:
    """What is kept for others. Their floors count whole, and then what of them is met where this seller is not."""
    units = sum(open_stock(at) for at in reading.locations)
    terms = []
    if everywhere:
        others = [other for other in reading.sellers if other.name != me and other.granted]
        terms = [_of_seller("protection", -other.granted, other.name, other.version) for other in others]
        kept = sum(other.granted for other in others)
        terms = terms if named or not kept else [Term("protection", -kept)]
        units -= kept
    if reading.uncapped != units:
        terms.append(Term("protection_met_elsewhere" if everywhere else "protection", reading.uncapped - units))
    return terms


def _ceiling(uncapped: int, ats: int, may_sell: bool, me: str, version: int) -> list[Term]:
    """What the seller's own cap, or the closed window of its campaign, takes away."""
    name = "cap" if may_sell else "campaign_closed"
    return [_of_seller(name, ats - uncapped, me, version)] if ats != uncapped else []


def _of_seller(term: str, quantity: int, seller: str, version: int) -> Term:
    if seller.startswith(SEPARATOR):
        return Term(term, quantity, policy_version=version, campaign=seller[1:])
    return Term(term, quantity, policy_version=version, channel=seller)


def _explain_location(at: LocationReading, item_version: int, share: tuple[bool, str, int]) -> LocationExplanation:
    b = at.balance
    terms = _number(at)
    for name, units, version in (
        ("unsellable", b.unsellable if b.measure == "on_hand" else 0, 0),
        ("set_aside", b.set_aside, 0),
        ("safety_stock", b.safety_stock, item_version),
        ("held", b.held, 0),
        ("committed", b.committed, 0),
        ("committed_included", -b.included, 0),
        ("shipped_uncounted", b.shipped_uncounted, 0),
    ):
        if units:
            terms.append(Term(name, -units, policy_version=version))
    limits: list[Term] = []
    if b.free < 0:
        limits.append(Term("never_below_zero", -b.free))
    elif b.free and not at.active:
        limits.append(Term("not_active", -b.free, policy_version=at.policy_version))
    if at.promised_later:
        limits.append(Term("promised_later", -at.promised_later))
    if at.uncapped != open_stock(at):
        limits.append(Term("protection", at.uncapped - open_stock(at)))
    limits += _ceiling(at.uncapped, at.ats, *share)
    return LocationExplanation(b.location, terms, b.free, limits, at.ats, _others(at), at.on_fallback)


def _number(at: LocationReading) -> list[Term]:
    """The authority's number, as the last level and what came on top of it."""
    known = at.counting
    if known is None:  # nothing was ever sent, or the journal's search for it went back far enough
        return [Term("number", at.balance.number, source=at.selling)] if at.balance.number else []
    if not known.has_level:
        return [Term("deltas", known.number, source=known.source, as_of=_time(known.as_of))]
    name = "level_and_deltas" if known.delta_count < 0 else "level_and_older_deltas" if known.forgotten else "level"
    level = Term(name, known.number - known.deltas, "", known.source, _version(known), _time(known.as_of))
    return [level, Term("deltas", known.deltas, source=known.source)] if known.deltas else [level]


def _others(at: LocationReading) -> list[OtherNumber]:
    roles = _roles(at.policy)
    nobody = "shadow" if roles else "unlisted"  # a location that lists sources has no use for others
    return [
        OtherNumber(
            other.source, roles.get(other.source, nobody), other.number, other.free,
            _version(other) if other.has_level else "", _time(other.as_of),
        )
        for other in at.sources
        if other.source != at.selling
    ]  # fmt: skip


def _stock(at: LocationReading) -> LocationStock:
    return LocationStock(at.balance, at.active, at.listed, at.ats, at.promised_later, at.on_fallback)


class _Listed(Struct):
    source: str
    role: str


class _Sources(Struct):
    sources: list[_Listed] = []


def _roles(policy: str) -> dict[str, str]:
    return {listed.source: listed.role for listed in json.decode(policy, type=_Sources).sources} if policy else {}


def _version(known: SourceReading) -> str:
    """As people know it; a source that began anew shows its generation in front."""
    generation, high, low = known.version
    if not generation:
        return ""  # not known
    number = high << 32 | low
    dated = known.version_kind == "time" and number < _YEAR_10000_US
    text = rfc3339(number // 1000) if dated else str(number)
    return f"{generation}/{text}" if generation > 1 else text


def _time(at_ms: int) -> str:
    return rfc3339(at_ms) if at_ms else ""
