"""Two laws behind one face: the rules in Python and the Lua library in Valkey, for tests that run on both."""

import asyncio
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import msgspec

from atp.domain.commands import Command, ReserveLine, TellOrder
from atp.domain.entries import AnyEntry
from atp.domain.records import GRACE_MS, Asked, Leg, Reservation, Shortfall
from atp.domain.results import Result
from atp.domain.rules import apply
from atp.domain.rules.batch import Batch
from atp.domain.rules.sourcing import Sourcing
from atp.domain.state import State
from atp.ledger import keys, library, wire
from atp.ledger.connection import Connection, ServerRefused, connect
from atp.ledger.loading import load_library


def records_in(entries: Sequence[AnyEntry]) -> list[Reservation]:
    """The reservations that entries carry, as the journal would keep them."""
    return [record for entry in entries if isinstance(record := getattr(entry, "reservation", None), Reservation)]


#: When the tests' clock starts; any instant after a real server's would do.
START_MS = 4_000_000_000_000


#: Units in all, by location, and by day.
Grants = tuple[int, dict[str, int], list[tuple[str, int]]]


#: Non-zero positions by location, and (sku, location, whether it is not zero).
Unnamed = tuple[dict[str, int], list[tuple[str, str, bool]]]


class RulesLaw:
    """The reference."""

    def __init__(self, partitions: int = 1) -> None:
        self.state = State(seq=1, last_now=START_MS, refused_since=START_MS)

    def apply(
        self,
        commands: Sequence[Command],
        now: int,
        settle_max: int = 256,
        sender: int = 0,
        *,
        relief: bool = False,
    ) -> tuple[list[Result], list[AnyEntry]]:
        """``sender``: how far the sender's clock is ahead of the ledger's, ms; ``relief``: memory is full."""
        return apply(self.state, commands, now, settle_max, now + sender, "test", relief)

    def trim(self, through: int) -> None:
        """The journal has everything up to here."""
        self.state.trimmed = max(self.state.trimmed, min(through, self.state.seq))

    def ats(self, sku: str, asked: Asked, now: int) -> Grants:
        """What a reserve would be granted now: in all, at each location where the channel may sell, and for days."""
        batch = Batch(deepcopy(self.state), now)
        places = [
            at for at in (self.state.skus[sku].positions if sku in self.state.skus else ())
            if asked.location in ("", at) and batch.sells_at(asked.channel, at, asked.location_group)
        ]  # fmt: skip
        campaign = batch.campaign(asked.campaign) if asked.campaign else None
        if asked.campaign and not (
            campaign and campaign.opens <= batch.now < campaign.closes
            and (not campaign.channels or asked.channel in campaign.channels)
        ):  # fmt: skip
            days = [asked.date] if asked.date else self._supply_days(batch, sku, places)
            return 0, dict.fromkeys(places, 0), [(day, 0) for day in days]

        def most(day: str) -> int:
            sourcing = Sourcing(batch, asked.channel, asked.campaign)
            if asked.location:
                return sourcing.free(sku, asked.location, day) if asked.location in places else 0
            drawn = sourcing.fill(ReserveLine("", sku, 0, "", asked.location_group, day), 10**15)
            return sum(units for _, units, _ in drawn)

        sourcing = Sourcing(batch, asked.channel, asked.campaign)
        each = {at: sourcing.free(sku, at) for at in places}
        days = [asked.date] if asked.date else self._supply_days(batch, sku, places)
        return most(""), each, [(day, most(day)) for day in days]

    @staticmethod
    def _supply_days(batch: Batch, sku: str, places: list[str]) -> list[str]:
        """Days with supply that counts at active locations."""
        active = [batch.sku(sku).positions[at] for at in batch.by_rank(places)]
        return sorted({day for p in active for day, on in p.supply.items() if on.quantity and on.starts_at > batch.now})

    def unnamed(self, seq: int, now: int) -> Unnamed:
        """What the sweep of a snapshot finds: per location how many are not zero, and positions it does not name."""
        sweep, counts, found = self.state.sweeps[seq], {}, []
        for sku, item in self.state.skus.items():
            for at, position in item.positions.items():
                known = position.sources.get(sweep.source)
                if known is None or at not in sweep.locations:
                    continue
                counts[at] = counts.get(at, 0) + bool(known.number)
                if not known.has_level or known.version < sweep.version:
                    found.append((sku, at, bool(known.number)))
        return {at: n for at, n in counts.items() if n}, sorted(found)

    def dump(self) -> dict[str, Any]:
        """The whole state in plain values, to be compared with the other law's."""
        s = self.state
        return {
            "seq": s.seq,
            "skus": {
                name: (k.seq, k.policy_version, k.policy, k.safety_stock, dict(k.safety_stock_by_location),
                       set(k.positions), {who: msgspec.structs.astuple(share) for who, share in k.sellers.items()})
                for name, k in s.skus.items()
            },
            "positions": {
                (name, at): (
                    p.held, p.committed, dict(p.shipped),
                    {
                        source: (n.number, n.has_level, tuple(n.version), n.tie, tuple(n.floor), n.as_of,
                                 n.included, dict(n.pending), n.unsellable, n.status,
                                 n.level_at, (n.returned, int(n.uncertain), n.forgotten_at))
                        for source, n in p.sources.items()
                    },
                    {day: (d.starts_at, d.quantity, d.pegged, d.due) for day, d in p.supply.items()},
                    [(x.kind, x.source, tuple(x.version), x.minute, x.units, list(x.events)) for x in p.aside],
                )
                for name, k in s.skus.items() for at, p in k.positions.items()
            },
            "supplies": {
                key: (s.day, s.starts_at, s.quantity, s.received, s.source, tuple(s.version), list(s.receipts))
                for key, s in s.supplies.items()
            },
            "recent": {
                (name, at, source, event): (tuple(version), quantity)
                for name, k in s.skus.items() for at, p in k.positions.items()
                for source, n in p.sources.items() for event, (version, quantity) in n.recent.items()
            },
            "reservations": _as_read(
                {name: msgspec.structs.asdict(r) for name, r in s.reservations.items()}, s.due, s.moved
            ),
            "tombstones": {name: msgspec.structs.astuple(t) for name, t in s.tombstones.items()},
            "ended": list(s.ended),
            "buried": list(s.buried),
            "due": dict(s.due),
            "moved": s.moved,
            "apart": (s.apart, s.apart_at),
            "orders": {name: (x.ids, x.events, x.waiting) for name, x in s.orders.items()},
            "awaited": dict(s.awaited),
            "shortages": {place: msgspec.structs.astuple(open) for place, open in s.shortages.items()},
            "baskets": {name: msgspec.structs.astuple(x) for name, x in s.baskets.items()},
            "legs": {name: msgspec.structs.asdict(x) for name, x in s.legs.items()},
            "undecided": dict(s.undecided),
            "contended": dict(s.contended),
            "following": dict(s.following),
            "exceptions": dict(s.exceptions),
            "policies": dict(s.policies),
            "authorities": dict(s.authorities),
            "sources": {name: msgspec.structs.astuple(v) for name, v in s.sources.items()},
            "silence": (s.next_silence, s.silence_from),
            "locations": {
                name: (v.fallback, v.since, v.recheck, v.moves, v.before)
                for name, v in s.locations.items()
            },
            "cursors": dict(s.cursors),
            "snapshots": {
                source: (n.id, n.seq, n.version_kind, tuple(n.version), n.parts, n.full, n.locations, n.as_of, n.since,
                         n.state, n.overdue, n.arrived, n.over, n.digests)
                for source, n in s.snapshots.items()
            },
            "sweeps": {
                seq: (w.source, w.snapshot, w.version_kind, tuple(w.version), w.locations, w.as_of, w.state,
                      [tuple(count) for count in w.counts])
                for seq, w in s.sweeps.items()
            },
            "adjusted": list(s.adjusted.items()),
            "campaigns": {name: (v.phase, v.since, list(v.skus)) for name, v in s.campaigns.items()},
            "holding": dict(s.holding),
            "buyers": dict(s.buyers),
            "refused": {
                name: (r.fingerprint, int(r.outcome), r.shortfalls)
                for generation in (s.refused_before, s.refused) for name, r in generation.items()
            },
        }  # fmt: skip


class LuaLaw:
    """The library in a real server, driven through one connection without batcher or clock of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: Connection, namespace: str, partition: int) -> None:
        self._loop, self._connection = loop, connection
        self._prefix = keys.prefix(namespace, partition)
        self._meta = keys.meta(namespace, partition)
        self._batch, self._seq = 0, 0
        self.next_due = 0  # by the last reply: what the sweeper goes by

    @classmethod
    def open(
        cls, loop: asyncio.AbstractEventLoop, url: str, namespace: str, partition: int = 0, partitions: int = 1
    ) -> "LuaLaw":
        async def prepare() -> Connection:
            connection = await connect(url)
            await load_library(connection)
            meta = keys.meta(namespace, partition)
            await connection.ask("FCALL", library.function("create"), 1, meta, partition, partitions, 1, 1, 0)
            # The tests' clock is not the server's: the refusals' generation must start with it.
            await connection.ask("HSET", meta, "refused_since", START_MS, "last_now", START_MS)
            return connection

        return cls(loop, loop.run_until_complete(prepare()), namespace, partition)

    def apply(
        self,
        commands: Sequence[Command],
        now: int,
        settle_max: int = 256,
        sender: int = 0,
        *,
        relief: bool = False,
    ) -> tuple[list[Result], list[AnyEntry]]:
        self._batch += 1
        header = wire.Header(self._batch, "test", 1, 1, self._seq, now + sender, now, settle_max)
        data = self._ask(
            "FCALL", library.function("apply_relief" if relief else "apply"), 1, self._meta,
            wire.encode_header(header), wire.encode_commands(commands),
        )  # fmt: skip
        reply = wire.decode_reply(data)
        entries: list[AnyEntry] = []
        for _, fields in self._ask("XRANGE", self._prefix + "outbox", f"({self._seq}-0", "+"):
            entries += [entry for entry in wire.decode_entries(fields) if entry.seq > max(self._seq, 1)]
        self._seq, self.next_due = reply.seq, reply.next_due
        return reply.results, entries

    def trim(self, through: int) -> None:
        self._ask("FCALL", library.function("trim"), 1, self._meta, through)

    def ats(self, sku: str, asked: Asked, now: int) -> Grants:
        (stock,) = self.ask(now, wire.ask_sku(sku, asked))
        return stock.ats, {at.balance.location: at.ats for at in stock.locations}, stock.atp

    def dump(self) -> dict[str, Any]:
        stored = {k.decode(): v for k, v in self._hash("res").items()}
        buried = {name: _unpack(v) for name, v in stored.items() if v[0] != 0xDC}
        places = {k.decode(): v.decode() for k, v in self._hash("places").items()}
        skus = {k.decode(): _unpack(v) for k, v in self._hash("sku").items()}
        positions = {tuple(k.decode().split("\0")): _unpack(v) for k, v in self._hash("pos").items()}
        recent = {}
        for (sku, at), record in positions.items():
            for number in record[4]:
                for event, packed in self._hash(f"recent:{sku}\0{at}\0{number[0]}").items():
                    version = (int.from_bytes(packed[:2]), int.from_bytes(packed[2:6]), int.from_bytes(packed[6:10]))
                    quantity = int.from_bytes(packed[10:14], signed=True)
                    recent[sku, at, number[0], int(event)] = (version, quantity)
        meta = self._hash("meta")
        generation = int(meta[b"refused_gen"])
        refused = {**self._hash(f"refused:{generation - 1}"), **self._hash(f"refused:{generation}")}
        due = dict(self._scores("due"))
        shortages = {tuple(k.decode().split("\0")): tuple(_unpack(v)[1:]) for k, v in self._hash("shortage").items()}
        assert int(meta.get(b"shortages", 0)) == len(shortages)
        exceptions = {k.decode(): int(v) for k, v in self._hash("exception").items()}
        assert int(meta.get(b"exceptions", 0)) == len(exceptions)
        adjusted = {k: tuple(_unpack(v)) for k, v in self._hash("adjusted").items()}
        moved = [tuple(m) for m in _unpack(meta.get(b"moved", b"\x90"))]
        whole = {name: msgspec.structs.asdict(_reservation(name, v)) for name, v in stored.items() if v[0] == 0xDC}
        return {
            "seq": int(meta[b"seq"]),
            "skus": {
                name: (r[1], r[2], r[3], r[4], dict(zip(r[5][::2], r[5][1::2], strict=True)),
                       set(filter(None, (places[name] if r[6] == "+" else r[6]).split("\0"))),
                       {w[0]: tuple(w[1:]) for w in r[7]})
                for name, r in skus.items()
            },
            "positions": {
                place: (
                    r[1], r[2], dict(zip(r[5][::2], r[5][1::2], strict=True)),
                    {
                        n[0]: (n[1], n[2], tuple(n[3]), n[4], tuple(n[5]), n[6],
                               n[7], {tuple(n[8][i : i + 3]): n[8][i + 3] for i in range(0, len(n[8]), 4)},
                               n[9], tuple(n[10]), n[11], tuple(n[12]) or (0, 0, 0))
                        for n in r[4]
                    },
                    _days(r[6]),
                    [(x[0], x[1], tuple(x[2]), *x[3:]) for x in (r[7] if len(r) > 7 else [])],
                )
                for place, r in positions.items()
            },
            "supplies": {
                tuple(k.decode().split("\0")): (*r[1:6], tuple(r[6]), list(r[7]))
                for k, v in self._hash("supply").items() if (r := _unpack(v))
            },
            "recent": recent,
            "reservations": _as_read(whole, due, moved),
            "tombstones": {
                name: (t[2] + name, t[1], t[3], t[4], [tuple(change) for change in t[5]]) for name, t in buried.items()
            },
            "ended": [tuple(_unpack(item)) for item in self._ask("LRANGE", self._prefix + "ended", 0, -1)],
            "buried": [tuple(_unpack(item)) for item in self._ask("LRANGE", self._prefix + "buried", 0, -1)],
            "due": due,
            "moved": moved,
            "orders": {k.decode(): _order(v) for k, v in self._hash("orders").items()},
            "awaited": dict(self._scores("awaited")),
            "shortages": shortages,
            "apart": (meta.get(b"apart") == b"1", int(meta.get(b"apart_at", 0))),
            "baskets": {k.decode(): tuple(_unpack(v)[1:]) for k, v in self._hash("baskets").items()},
            "legs": {
                k.decode(): msgspec.structs.asdict(msgspec.convert([k.decode(), *_unpack(v)[1:]], Leg))
                for k, v in self._hash("legs").items()
            },
            "undecided": dict(self._scores("undecided")),
            "contended": {tuple(k.decode().split("\0")): int(v) for k, v in self._hash("contended").items()},
            "following": {k.decode(): int(v) for k, v in self._hash("following").items()},
            "exceptions": exceptions,
            "policies": {tuple(k.decode().split("/", 1)): tuple(_unpack(v)) for k, v in self._hash("policy").items()},
            "authorities": {k.decode(): v.decode() for k, v in self._hash("authority").items()},
            "sources": {k.decode(): tuple(_unpack(v)[1:]) for k, v in self._hash("source").items()},
            "silence": (int(meta.get(b"next_silence", 0)), int(meta.get(b"silence_from", 0))),
            "locations": {
                k.decode(): (*r[1:4], [tuple(change) for change in r[4]], r[5])
                for k, v in self._hash("location").items() if (r := _unpack(v))
            },
            "cursors": {k.decode(): int(v) for k, v in self._hash("cursor").items()},
            "snapshots": {
                k.decode(): (*r[1:4], tuple(r[4]), *r[5:],
                             {int(part): int(digest) for part, digest in self._hash("parts:" + k.decode()).items()})
                for k, v in self._hash("snapshot").items() if (r := _unpack(v))
            },
            "sweeps": {
                int(k): (*r[1:4], tuple(r[4]), *r[5:8], [tuple(count) for count in r[8]])
                for k, v in self._hash("sweep").items() if (r := _unpack(v))
            },
            "adjusted": [
                (int(event), adjusted.pop(event))
                for event in self._ask("LRANGE", self._prefix + "adjustments", 0, -1)
            ],
            "campaigns": {k.decode(): tuple(_unpack(v)[1:]) for k, v in self._hash("campaign").items()},
            "holding": {tuple(k.decode().split("\0")): int(v) for k, v in self._hash("holding").items()},
            "buyers": {
                (campaign.decode(), *k.decode().split("\0")): int(v)
                for campaign in self._hash("campaign")
                for k, v in self._hash("buyers:" + campaign.decode()).items()
            },
            "refused": {
                k.decode(): (r[0], r[1], msgspec.convert(r[2], list[Shortfall]))
                for k, v in refused.items() if (r := _unpack(v))
            },
        }  # fmt: skip

    def unnamed(self, seq: int, now: int) -> Unnamed:
        """The same, page by page."""
        ((sweeps, _),) = self.ask(now, wire.ask_sweeps())
        sweep, counts, found, cursor = dict(sweeps)[seq], {}, [], "0"
        while True:
            page = self.ask(now, wire.ask_unnamed(cursor, 2, sweep.source, sweep.locations, sweep.version))[0]
            for at, n in page.counts:
                counts[at] = counts.get(at, 0) + n
            found += page.unnamed
            cursor = page.cursor
            if cursor == "0":
                return counts, sorted(found)

    def ask(self, now: int, *queries: tuple) -> list:
        """One answer per query of the library's read function."""
        data = self._ask("FCALL", library.function("read"), 1, self._meta, wire.encode_queries(queries), now)
        return wire.decode_answers(queries, data)

    def refuses(self, header: wire.Header, commands: Sequence[Command]) -> str:
        """The code of a batch that is refused whole."""
        try:
            self._ask(
                "FCALL", library.function("apply"), 1, self._meta,
                wire.encode_header(header), wire.encode_commands(commands),
            )  # fmt: skip
        except ServerRefused as refused:
            return str(refused)
        return ""

    def close(self) -> None:
        async def end() -> None:
            for key in await self._connection.ask("KEYS", self._prefix.replace("{", "[{]") + "*"):
                await self._connection.ask("UNLINK", key)
            await self._connection.end()

        self._loop.run_until_complete(end())

    def _ask(self, *words: bytes | str | int) -> Any:
        return self._loop.run_until_complete(self._connection.ask(*words))

    def _hash(self, key: str) -> dict[bytes, bytes]:
        flat = self._ask("HGETALL", self._prefix + key)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def _scores(self, key: str) -> list[tuple[str, int]]:
        flat = self._ask("ZRANGE", self._prefix + key, 0, -1, "WITHSCORES")
        return [(name.decode(), int(score)) for name, score in zip(flat[::2], flat[1::2], strict=True)]


_unpack = msgspec.msgpack.decode


def _order(stored: bytes) -> tuple[list[str], list[int], list[tuple[int, TellOrder]]]:
    _, ids, events, waiting = _unpack(stored)
    return ids, events, msgspec.convert(waiting, list[tuple[int, TellOrder]])


def _days(flat: list[Any]) -> dict[str, tuple[int, ...]]:
    assert flat[::5] == sorted(flat[::5]), "days are kept in their order"
    return {flat[i]: tuple(flat[i + 1 : i + 5]) for i in range(0, len(flat), 5)}


def _as_read(
    records: dict[str, dict[str, Any]], due: dict[str, int], moved: list[tuple[int, int, int]]
) -> dict[str, dict[str, Any]]:
    """Holds whose deadline fell into an outage have a later one, whether or not they were written since (R22)."""
    for record in records.values():
        for after, through, until in moved:
            if after < due.get(record["id"], 0) <= through:
                record["expires_at"] = until - GRACE_MS
    return records


def _reservation(identity: str, stored: bytes) -> Reservation:
    fields = _unpack(stored)
    assert fields[0] == 1, "stored records start with their format"
    return msgspec.convert([fields[15] + identity, *fields[1:15]], Reservation)
