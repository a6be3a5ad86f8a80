"""A state in plain values, to be compared."""

from typing import Any

import msgspec

from atp.domain.records import GRACE_MS
from atp.domain.state import State


def plain(s: State) -> dict[str, Any]:
    """The whole state in plain values."""
    return {
        "seq": s.seq,
        "standing": (s.epoch, s.policy_version, s.trimmed),
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
                             n.level_at, (n.returned, int(n.uncertain), n.forgotten_at), tuple(n.touched))
                    for source, n in p.sources.items()
                },
                {day: (d.starts_at, d.quantity, d.pegged, d.due) for day, d in p.supply.items()},
                [(x.kind, x.source, tuple(x.version), x.minute, x.units, list(x.events)) for x in p.aside],
            )
            for name, k in s.skus.items() for at, p in k.positions.items()
        },
        "supplies": {
            key: (s.day, s.starts_at, s.quantity, s.received, s.source, tuple(s.version), list(s.receipts), s.told,
                  s.as_of, [(x.source, tuple(x.version), x.day, x.starts_at, x.quantity, x.as_of) for x in s.others])
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


def _as_read(
    records: dict[str, dict[str, Any]], due: dict[str, int], moved: list[tuple[int, int, int]]
) -> dict[str, dict[str, Any]]:
    """Holds whose deadline fell into an outage have a later one, whether or not they were written since (R22)."""
    for record in records.values():
        for after, through, until in moved:
            if after < due.get(record["id"], 0) <= through:
                record["expires_at"] = until - GRACE_MS
    return records
