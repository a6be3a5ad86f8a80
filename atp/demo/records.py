"""The comparison goes on: journal, events and dead letters, read from PostgreSQL and NATS themselves."""

from collections import Counter
from collections.abc import Iterable

from msgspec import json

from atp.demo.books import Books
from atp.demo.checks import Position, differences
from atp.demo.evidence import Evidence, Heads
from atp.demo.retailer import PLACES, SOURCES, Retailer
from atp.domain.records import Reservation
from atp.proofs import Check, finding

_decode_reservation = json.Decoder(Reservation).decode
_EVENTS = "atp.v1.reservation.*"
_KINDS = {"committed": "committed", "released": "released", "expired": "expired"}


async def sequence(evidence: Evidence, caught_up: bool) -> Check:
    """The journal has every entry of the ledger from the first to the last, without a gap."""
    ledger, (journaled, published) = await evidence.ledger_heads(), await evidence.journal_heads()
    entries = sum(row["entries"] for row in await evidence.rows("extent"))
    gaps = [f"entry {row['seq']} of partition {row['partition']} follows a gap" for row in await evidence.rows("gaps")]
    behind = [
        f"partition {p}: the ledger ends at {seq}, the journal at {journaled.get(p)}, events at {published.get(p)}"
        for p, seq in ledger.items()
        if not seq == journaled.get(p) == published.get(p)
    ]
    late = [] if caught_up or behind else ["the ledger never stood still"]
    detail = f"{entries:,} entries up to the ledger's {sum(ledger.values()):,}, {len(gaps)} gaps"
    return finding("journal sequence", detail, [*behind, *late, *gaps])


async def reservations(evidence: Evidence, books: Books, customers: str) -> Check:
    """The journal's reservations are those that buyers know, unit by unit, and each change stands there once."""
    rows = {row["id"]: row for row in await evidence.rows("reservations", customers)}
    wrong = [f"{id}: the journal has it, no buyer does" for id in rows.keys() - books.sales.keys()]
    for id, sale in books.sales.items():
        row = rows.get(id)
        if row is None:
            wrong.append(f"{id}: not in the journal")
            continue
        record = _decode_reservation(row["body"])
        mine = [(line.line_id, line.sku, line.allocations, {line.end}) for line in sale.lines]
        its = [
            (line.line_id, line.sku, {a.location: a.quantity for a in line.allocations}, _ends(record, index))
            for index, line in enumerate(record.lines)
        ]
        if (row["state"], its) != (sale.state, mine):
            wrong.append(f"{id}: the journal has {row['state']} {its}, should be {sale.state} {mine}")
    kinds = await evidence.rows("kinds", list(books.sales))
    expected = Counter({"held": len(books.sales)} | {kind: books.lines(end) for end, kind in _KINDS.items()})  # pyright: ignore[reportArgumentType]
    wrong += differences("entries of kind", expected, Counter({row["kind"]: row["entries"] for row in kinds}))
    detail = f"{len(rows):,} reservations and {expected.total():,} entries as the buyers know them"
    return finding("journal reservations", detail, wrong)


async def levels(evidence: Evidence, retailer: Retailer, counts: dict[Position, int]) -> Check:
    """The journal's number of every position is the feeder's count."""
    source = {place.id: SOURCES[place.feeder] for place in PLACES}
    rows = await evidence.rows("numbers", [item.sku for item in retailer.items])
    found = {(row["sku"], row["location"], row["source"]): row["number"] for row in rows}
    expected = {(sku, at, source[at]): count for (sku, at), count in counts.items()}
    wrong = (
        f"{key}: {found.get(key)}, should be {expected.get(key)}"
        for key in expected.keys() | found.keys()
        if found.get(key) != expected.get(key)
    )
    return finding("journal numbers", f"{len(found):,} positions as the feeders count them", wrong)


async def events(evidence: Evidence, stream_start: int, heads_at_start: Heads) -> Check:
    """Each reservation entry has its event on NATS, once."""
    expected: dict[str, str] = {}
    for partition in await evidence.ledger_heads():
        rows = await evidence.rows("reservation_entries", partition, heads_at_start.get(partition, 0))
        expected |= {f"{partition}:{row['seq']}": row["kind"] for row in rows}
    messages = await evidence.messages("ATP", _EVENTS, stream_start)
    found = [
        (id, subject.rsplit(".", 1)[-1])
        for subject, headers in messages
        if _is_behind(id := headers.get("ce-id", ""), heads_at_start)
    ]
    ids = Counter(id for id, _ in found)
    wrong = [f"event {id} came {times} times" for id, times in ids.items() if times > 1]
    wrong += [
        f"event {id} is {kind}, the journal has {expected.get(id)}" for id, kind in found if expected.get(id) != kind
    ]
    wrong += [f"entry {id} ({kind}) has no event" for id, kind in expected.items() if id not in ids]
    types = Counter(kind for _, kind in found)
    detail = ", ".join(f"{types[kind]:,} {kind}" for kind in ("held", "committed", "released", "expired"))
    return finding("events", f"{detail}: as many as entries, no id twice", wrong)


async def dead_letters(evidence: Evidence, stream_start: int, poison: dict[str, set[str]], tag: str) -> Check:
    """Each poison message became one dead letter, and nothing else did."""
    found: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    for source in poison:
        for _, headers in await evidence.messages("STOCK_DLQ", f"stock.dlq.{source}", stream_start):
            if headers.get("ce-id", "").startswith(f"{tag}-"):
                found[source, headers["ce-id"]] += 1
                reasons[headers.get("atp-reason", "")] += 1
    sent = Counter((source, id) for source, ids in poison.items() for id in ids)
    wrong: Iterable[str] = (
        f"{source} {id}: {found[source, id]} dead letters, should be {sent[source, id]}"
        for source, id in sent.keys() | found.keys()
        if found[source, id] != sent[source, id]
    )
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return finding("dead letters", f"{found.total()} for {sent.total()} poison messages ({why})", wrong)


def _is_behind(id: str, heads: Heads) -> bool:
    """Whether an event belongs to this run: one of an earlier entry may have come late."""
    partition, _, seq = id.partition(":")
    return int(seq or 0) > heads.get(int(partition or 0), 0)


def _ends(record: Reservation, index: int) -> set[str]:
    line = record.lines[index]
    states = ("held", "committed", "fulfilled", "released", "expired")
    return {state for state in states if any(getattr(a, state) for a in line.allocations)}
