"""Steps: one pass over all records of a partition, page by page. It adds up and collects what may differ; whether it
does is settled afterwards, exactly, so a page may be read twice, and what changes meanwhile does no harm.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from itertools import batched

from atp.check import counters, indexes, stored
from atp.check.counters import Key, Part
from atp.check.partition import NEVER, Partition
from atp.check.state import State
from atp.domain.records import GRACE_MS, Leg, Reservation
from atp.domain.state import ORDER_IDS_MAX, Position
from atp.ledger import Page

#: Between the parts of a position's field.
_SEPARATOR = "\0"

#: Keys that are sorted sets; all others are hashes.
_SCORES = ("due", "undecided", "awaited")

_Take = Callable[[Page], Awaitable[None]]


class Steps:
    """The steps of one partition, in their order; a key that is a list of keys is several steps."""

    def __init__(self, at: Partition, state: State) -> None:
        self._at, self._state = at, state
        # Counters and since when they count come before the records that add to them.
        self._steps: list[tuple[str, _Take]] = [
            ("campaign", self._campaigns),
            ("sku", self._skus),
            ("pos", self._positions),
            ("holding", self._holding),
            ("contended", self._contended),
            ("supply", self._supplies),
            ("res", self._reservations),
            ("legs", self._legs),
            ("baskets", self._baskets),
            ("due", self._deadlines),
            ("undecided", self._undecided),
            ("orders", self._orders),
            ("awaited", self._awaited),
            ("policy", self._policies),
        ]

    @property
    def names(self) -> list[str]:
        """The keys that are gone through, and then the journal."""
        return [key for key, _ in self._steps] + ["journal", "levels"]

    async def size(self) -> int:
        """About how many records there are."""
        keys = [key for key, _ in self._steps]
        look = await self._at.ledger.looks.at(
            self._at.number, *(("ZCARD" if key in _SCORES else "HLEN", key) for key in keys)
        )
        return sum(look.answers)

    async def page(self) -> int:
        """Take the next page, and move on; how many records it had."""
        state = self._state
        if state.step >= len(self._steps):
            return await (self._live() if state.step == len(self._steps) else self._levels())
        key, take = self._steps[state.step]
        page = await self._at.page(key, state.cursor or "0", scores=key in _SCORES)
        await take(page)
        state.cursor = page.cursor
        if page.cursor == "0":
            state.step, state.cursor = state.step + 1, ""
        return len(page.items)

    @property
    def over(self) -> bool:
        """Whether every step is done."""
        return self._state.step > len(self._steps) + 1

    # -- counters ---------------------------------------------------------------------------------------------------

    async def _campaigns(self, page: Page) -> None:
        for name, raw in page.items:
            _, phase, since, _ = stored.plain(raw)
            if phase == 2:
                continue
            campaign = name.decode()
            self._state.since.campaigns[campaign] = since
            cursor = ""
            while cursor != "0":
                buyers = await self._at.page("buyers:" + campaign, cursor or "0")
                cursor = buyers.cursor
                for field, units in buyers.items:
                    sku, customer = stored.place(field)
                    if sku:  # else it is a used ticket: nothing else tells of it
                        self._state.add(Key("buyers", sku, "", f"{campaign}\x1f{customer}"), int(units))

    async def _skus(self, page: Page) -> None:
        summed, policies, lists = [], {}, {}
        for name, raw in page.items:
            sku, record = name.decode(), stored.plain(raw)
            for seller, _, _, used, since, version in record[7]:
                self._state.since.sellers[sku, seller] = since
                self._state.add(Key("used", sku, "", seller), used)
                if not seller.startswith("\x1f"):
                    policies["item-channel", f"{sku}\x1f{seller}"] = (version, None)
            if record[2]:
                policies["item", sku] = (record[2], record[3])
            if record[8] or record[9]:
                summed.append(sku)
            lists[sku] = record[6]
        self._state.skus.update(await self._at.wrong_sums(summed))
        await self._compare_policies(policies)
        await self._listed(lists)

    async def _listed(self, lists: dict[str, str]) -> None:
        """Each location that a sku lists, once, must have a position."""
        apart = [sku for sku, text in lists.items() if text == "+"]
        _, (texts,) = await self._at.look([("HMGET", "places", *apart)])
        lists |= {sku: (text or b"").decode() for sku, text in zip(apart, texts, strict=True)}
        named = Counter((sku, at) for sku, text in lists.items() for at in text.split(_SEPARATOR) if at)
        self._state.listed.update(place for place, times in named.items() if times > 1)
        for part in batched(named, self._at.settings.page):
            _, (records,) = await self._at.look([("HMGET", "pos", *map(_SEPARATOR.join, part))])
            self._state.listed.update(place for place, raw in zip(part, records, strict=True) if raw is None)

    async def _positions(self, page: Page) -> None:
        read: dict[tuple[str, str], Position] = {}
        for name, raw in page.items:
            sku, location = stored.place(name)
            position = read[sku, location] = stored.position(raw)
            for key, units in counters.in_position(sku, location, position):
                if units:
                    self._state.add(key, units)
            for source, known in position.sources.items():
                if known.included or known.pending:
                    self._state.since.versions[sku, location, source] = known.version
        if not read:
            return
        await self._unlisted(read)
        if await self._at.is_old(0):
            self._state.places.update(read)  # some may have numbers that the journal never heard of
        balances = await self._at.balances(list(read), page.seq)
        for place, position in read.items():
            told = balances.get(place, NEVER)
            if told is not None and any(ours != theirs for _, ours, theirs in stored.against(position, told)):
                self._state.places.add(place)

    async def _unlisted(self, places: Collection[tuple[str, str]]) -> None:
        """Each position must be listed by its sku."""
        skus = sorted({sku for sku, _ in places})
        _, (records, apart) = await self._at.look([("HMGET", "sku", *skus), ("HMGET", "places", *skus)])
        lists = {sku: stored.locations(*raw) for sku, *raw in zip(skus, records, apart, strict=True)}
        self._state.listed.update((sku, at) for sku, at in places if at not in lists[sku])

    async def _holding(self, page: Page) -> None:
        for field, units in page.items:
            channel, customer = stored.place(field)
            self._state.add(Key("holding", "", "", f"{channel}\x1f{customer}"), int(units))

    async def _contended(self, page: Page) -> None:
        for field, units in page.items:
            self._state.add(counters.contended(field), int(units))

    # -- records ----------------------------------------------------------------------------------------------------

    def _subtract(self, parts: list[Part], first_seq: int) -> None:
        for key, units in parts:
            if self._state.since.counts(key, first_seq):
                self._state.add(self._state.since.placed(key), -units)

    async def _supplies(self, page: Page) -> None:
        for field, raw in page.items:
            sku, location, _ = field.decode().split("\0")
            _, day, _, quantity, received, *_ = stored.plain(raw)
            self._subtract(list(counters.of_supply(sku, location, day, max(0, quantity - received))), page.seq)

    async def _reservations(self, page: Page) -> None:
        records: dict[str, Reservation] = {}
        for identity, raw in page.items:
            if record := stored.reservation(identity, raw):
                records[record.id] = record
                self._subtract(list(counters.of_reservation(record, self._at.here)), record.first_seq)
        if not records:
            return
        refs = [r.order_ref for r in records.values() if r.order_ref]
        _, (scores, orders) = await self._at.look([("ZMSCORE", "due", *records), ("HMGET", "orders", *refs)])
        named = {ref: stored.plain(raw)[1] if raw else [] for ref, raw in zip(refs, orders, strict=True)}
        journaled = await self._at.journal.checking.newest(list(records))
        for r, score in zip(records.values(), scores, strict=True):
            deadline = r.expires_at + GRACE_MS if any(a.held for line in r.lines for a in line.allocations) else None
            ids = named.get(r.order_ref, [])
            seq, same = journaled.get(r.id, (0, None))
            if (
                deadline != (None if score is None else int(score))
                or (r.order_ref and r.id not in ids and len(ids) < ORDER_IDS_MAX)
                or seq < r.seq
                or (seq == r.seq and same != r)
                or r.seq < seq <= page.seq
            ):
                self._state.suspect(r.id)

    async def _legs(self, page: Page) -> None:
        legs: dict[str, Leg] = {}
        undecided: dict[str, int] = {}
        for id, raw in page.items:
            leg = stored.leg(id, raw)
            self._subtract(list(counters.of_leg(leg, self._at.here)), leg.first_seq)
            if leg.seq:
                legs[leg.id] = leg
            else:
                undecided[leg.id] = leg.deadline
        await self._scheduled(undecided)
        self._state.legs.update(await indexes.behind(self._at, legs))

    async def _baskets(self, page: Page) -> None:
        open = [stored.plain(raw) for _, raw in page.items]
        await self._scheduled({id: deadline for _, id, _, _, _, deadline, _ in open if deadline})

    async def _scheduled(self, undecided: dict[str, int]) -> None:
        """Each basket or leg that is not decided is looked after from some time on."""
        _, (scores,) = await self._at.look([("ZMSCORE", "undecided", *undecided)])
        for (id, deadline), score in zip(undecided.items(), scores, strict=True):
            if score is None or int(score) != deadline:
                self._state.suspect(id)

    # -- what leads to records --------------------------------------------------------------------------------------

    async def _deadlines(self, page: Page) -> None:
        ids = [id.decode() for id, _ in page.items]
        _, (records,) = await self._at.look([("HMGET", "res", *(id[3:] for id in ids))])
        for id, raw in zip(ids, records, strict=True):
            record = stored.reservation(id[3:].encode(), raw)
            if record is None or record.id != id:  # one with a record was compared with it
                self._state.suspect(id)

    async def _undecided(self, page: Page) -> None:
        ids = [id.decode() for id, _ in page.items]
        _, (legs, baskets) = await self._at.look([("HMGET", "legs", *ids), ("HMGET", "baskets", *(x[3:] for x in ids))])
        for id, leg, basket in zip(ids, legs, baskets, strict=True):
            if not stored.deadline(id, leg, basket):
                self._state.suspect(id)

    async def _awaited(self, page: Page) -> None:
        refs = [ref.decode() for ref, _ in page.items]
        _, (orders,) = await self._at.look([("HMGET", "orders", *refs)])
        self._state.awaited.update(ref for ref, raw in zip(refs, orders, strict=True) if not stored.awaited(raw))

    async def _orders(self, page: Page) -> None:
        waiting = {ref.decode(): stored.awaited(raw) for ref, raw in page.items}
        _, (scores,) = await self._at.look([("ZMSCORE", "awaited", *waiting)])
        told = zip(waiting.items(), scores, strict=True)
        self._state.awaited.update(ref for (ref, until), score in told if until != int(score or 0))
        named = [(id, ref.decode()) for ref, raw in page.items for id in stored.plain(raw)[1]]
        _, (records,) = await self._at.look([("HMGET", "res", *(id[3:] for id, _ in named))])
        for (id, ref), raw in zip(named, records or [], strict=True):
            record = stored.reservation(id[3:].encode(), raw)
            if record is None or record.id != id or record.order_ref != ref:
                self._state.suspect(id, ref)

    async def _policies(self, page: Page) -> None:
        found: dict[tuple[str, str], tuple[int, str | None]] = {}
        for name, raw in page.items:
            kind, _, id = name.decode().partition("/")
            version, body = stored.plain(raw)
            found[kind, id] = version, body
        await self._compare_policies(found)

    async def _compare_policies(self, found: dict[tuple[str, str], tuple[int, str | None]]) -> None:
        journaled = await self._at.journal.checking.policies(list(found)) if found else {}
        for name, (version, body) in found.items():
            there = journaled.get(name)
            if there is None or there[0] != version or body not in (None, there[1]):
                self._state.policies.add(name)

    async def _live(self) -> int:
        """A page of what the journal has as live: the ledger must have it, too."""
        state = self._state
        ids = await self._at.journal.checking.live(self._at.number, state.cursor)
        for start in range(0, len(ids), self._at.settings.page):
            part = ids[start : start + self._at.settings.page]
            _, (records,) = await self._at.look([("HMGET", "res", *(id[3:] for id in part))])
            for id, raw in zip(part, records, strict=True):
                record = stored.reservation(id[3:].encode(), raw)
                if record is None or record.id != id:
                    state.suspect(id)
        state.cursor = ids[-1] if ids else ""
        if not ids:
            state.step += 1
        return len(ids)

    async def _levels(self) -> int:
        """A page of what sources last said: the ledger must have it as their number."""
        state = self._state
        levels = await self._at.journal.checking.levels_after(self._at.number, state.cursor)
        places = sorted({(level.sku, level.location) for level in levels})
        numbers: dict[tuple[str, str, str], int] = {}
        for start in range(0, len(places), self._at.settings.page):
            part = places[start : start + self._at.settings.page]
            _, (records,) = await self._at.look([("HMGET", "pos", *map(_SEPARATOR.join, part))])
            for place, raw in zip(part, records, strict=True):
                numbers |= {(*place, of): known.number for of, known in stored.position(raw).sources.items()}
        for level in levels:
            if numbers.get((level.sku, level.location, level.source)) != level.number:
                state.places.add((level.sku, level.location))
        state.cursor = levels[-1].cursor if levels else ""
        if not levels:
            state.step += 1
        return 0  # positions were counted already
