"""Journal: the ledger's entries in PostgreSQL, each exactly once, and the newest state of what they speak of.

Exactly once comes from one row: the watermark moves from the seq before a batch to its last in the same transaction
that writes the batch, under the fence of whoever claimed the partition last (DESIGN §5, R19). A drainer that died, was
stopped or lost an answer therefore never writes twice and never leaves a gap: it, or its successor, reads the
watermark and goes on from there.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
from msgspec import Struct, json

from atp.domain.entries import AnyEntry, EntriesMissing, LedgerOpened
from atp.domain.exceptions import Kind
from atp.domain.explain import SkuReading
from atp.domain.records import Policy, Reservation
from atp.journal import exceptions, history
from atp.journal.baselines import Baselines
from atp.journal.checking import Checking
from atp.journal.connections import Connections, JournalSettings
from atp.journal.errors import Fenced, JournalForeign, JournalGap, JournalUnavailable, NotJournaled
from atp.journal.exceptions import ExceptionRow
from atp.journal.explaining import Past
from atp.journal.history import Asked, FoundReservation, Happened, Place
from atp.journal.queries import load_queries
from atp.journal.rows import ENTRY_COLUMNS, TOUCHED_COLUMNS, Rows, fold
from atp.journal.saving import NotNew, save

_SQL = load_queries()

_decode_entry = json.Decoder(AnyEntry).decode
_decode_reservation = json.Decoder(Reservation).decode

#: Partitions of the next days exist before they are needed, also over a long weekend without a drainer.
DAYS_AHEAD = 8

#: Old reservations that one look for those to be pruned takes on.
PRUNED_MAX = 1_000

#: Before every reservation.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

#: Longest time that taking off a day may need.
HOUSEKEEPING_S = 600.0


class Claim(Struct, frozen=True):
    """A partition as its claimer found it. Writes succeed while ``fence`` is the newest."""

    partition: int
    fence: int
    epoch: int
    seq: int  # highest journaled
    published: int  # highest whose event NATS acknowledged
    announced: int  # every sku changed up to here has had an availability event since


class Pruned(Struct, frozen=True):
    """A look at old reservations: where it ended, at how many it looked, and how many went."""

    at: datetime
    id: str
    first_seq: int
    looked: int
    gone: int


class Journal:
    """All methods raise JournalUnavailable when PostgreSQL is away or too slow, and can simply be called again."""

    def __init__(self, settings: JournalSettings) -> None:
        self._settings = settings
        self._connections = Connections(settings, self._prepare)
        self.baselines = Baselines(self._connections, _SQL)
        self.checking = Checking(self._connections, _SQL)

    async def open(self) -> None:
        """Check schema and namespace if the server is there; that it is away is found out, and told, by each call.

        Raises JournalUnmigrated, JournalForeign.
        """
        await self._connections.open()
        try:
            await self.heads()
        except JournalUnavailable:
            pass  # reservations go on without PostgreSQL (DESIGN §5); the check runs on the first connection that comes
        except Exception:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()

    # ---- one writer per partition

    async def claim(self, partition: int, owner: str) -> Claim:
        """Become the partition's only writer: earlier claims are fenced from now on.

        A writer that was stopped in the middle of a batch keeps the watermark's row, and the server would wait for it
        until its statement takes too long. Who claims has the lease, so that one has nothing to finish: it is cut off.
        """
        async with self._connections.take() as connection:
            pid = await connection.fetchval(_SQL["own_pid"])
            claiming = asyncio.ensure_future(connection.fetchrow(_SQL["claim"], partition, owner))
            try:
                done, _ = await asyncio.wait([claiming], timeout=self._settings.takeover_s)
                if not done:
                    async with self._connections.take() as other:
                        await other.execute(_SQL["cut_off"], pid)
                row = await claiming
            finally:
                claiming.cancel()
        assert row is not None
        return Claim(partition, *row)

    async def watermark(self, partition: int) -> Claim | None:
        """Where the partition stands and who may write to it; None if it was never claimed."""
        async with self._connections.take() as connection:
            row = await connection.fetchrow(_SQL["watermark"], partition)
        return Claim(partition, *row) if row else None

    async def append(self, partition: int, after: int, entries: list[AnyEntry], fence: int) -> None:
        """Write ``entries``, which follow ``after``, with all they change, in one transaction.

        Raises Fenced and JournalGap, with nothing written. After JournalUnavailable the commit may have happened: the
        caller asks ``watermark``.
        """
        check_gapless(after, entries)
        rows = fold(partition, entries)
        try:
            await self._append(partition, after, rows, entries[-1].seq, fence, copied=True)
        except NotNew:
            await self._append(partition, after, rows, entries[-1].seq, fence, copied=False)

    async def _append(self, partition: int, after: int, rows: Rows, last: int, fence: int, *, copied: bool) -> None:
        """One attempt; ``copied`` and NotNew as in ``save``."""
        timeout = self._settings.append_s
        async with self._connections.take() as connection, connection.transaction():
            # The watermark first: its row lock keeps writers apart, and one that is fenced does no work.
            moved = await connection.fetchval(
                _SQL["advance"], partition, fence, after, last, rows.epoch, timeout=timeout
            )
            if moved is None:
                raise Fenced(f"partition {partition} is not at {after} under fence {fence} any more")
            await connection.copy_records_to_table(
                "entries", records=rows.entries, columns=ENTRY_COLUMNS, timeout=timeout
            )
            if rows.touched:
                await connection.copy_records_to_table(
                    "position_changes",
                    records=rows.touched_records(partition, after),
                    columns=TOUCHED_COLUMNS,
                    timeout=timeout,
                )
            await save(connection, _SQL, partition, rows, timeout, copied=copied)

    async def move_published(self, claim: Claim, published: int, announced: int) -> None:
        """Remember how far NATS has acknowledged. Raises Fenced."""
        async with self._connections.take() as connection:
            moved = await connection.fetchval(
                _SQL["move_published"], claim.partition, claim.fence, published, announced
            )
        if moved is None:
            raise Fenced(f"partition {claim.partition} was claimed by another publisher")

    async def ensure_days(self) -> int:
        """Make the daily partitions of the coming days and return how many were missing."""
        async with self._connections.take() as connection:
            return await connection.fetchval(_SQL["ensure_days"], DAYS_AHEAD) or 0

    async def retire_day(self) -> str | None:
        """Take the oldest day off the entries, if retention says so and neither rebuild nor publisher needs it.

        Returns the name of its table, None if there is nothing to do. Takes as long as reading a day.
        """
        async with self._connections.take() as connection:
            async with connection.transaction():
                await connection.execute(_SQL["allow_minutes"])
                name = await connection.fetchval(_SQL["retire_day"], timeout=HOUSEKEEPING_S)
            if name is not None:
                async with connection.transaction():
                    await connection.execute(_SQL["allow_minutes"])
                    await connection.fetchval(_SQL["prune_changes"], timeout=HOUSEKEEPING_S)
        return name

    async def prune_reservations(self, after: Pruned | None = None, most: int = PRUNED_MAX) -> Pruned | None:
        """Look at the next reservations, oldest first, and take those away that ended and whose entries have gone.

        ``after`` is where the look before ended. None: the rest is within the days that are kept. What is open stays,
        whatever its age.
        """
        at, id, first_seq = (after.at, after.id, after.first_seq) if after else (BEGINNING, "", 0)
        async with self._connections.take() as connection:
            row = await connection.fetchrow(_SQL["prune_reservations"], at, id, first_seq, most)
        return Pruned(*row) if row else None

    # ---- reading

    async def begins(self, partition: int) -> int:
        """The seq at which the partition's history begins since old days went; 0 if it is all there."""
        async with self._connections.take() as connection:
            return await connection.fetchval(_SQL["begins"], partition) or 0

    async def heads(self) -> dict[int, int]:
        """Highest journaled seq by partition; empty for an empty journal. A witness of the ledger's head (R2)."""
        async with self._connections.take() as connection:
            return {row["partition"]: row["seq"] for row in await connection.fetch(_SQL["heads"])}

    async def entries_after(self, partition: int, seq: int, limit: int) -> list[AnyEntry]:
        """The next entries behind ``seq``, in order."""
        async with self._connections.take() as connection:
            return [
                _decode_entry(row["body"])
                for row in await connection.fetch(_SQL["entries_after"], partition, seq, limit)
            ]

    async def missing_after(self, partition: int, seq: int) -> AnyEntry | None:
        """The first entry behind ``seq`` that stands for lost ones (R20), or None."""
        async with self._connections.take() as connection:
            body = await connection.fetchval(_SQL["missing_after"], partition, seq)
        return None if body is None else _decode_entry(body)

    async def reservation(self, id: str) -> Reservation | None:
        """The reservation as it was journaled last; of two under one id the newer (R18)."""
        async with self._connections.take() as connection:
            body = await connection.fetchval(_SQL["reservation"], id)
        return None if body is None else _decode_reservation(body)

    async def promised(
        self, partition: int, sku: str, location: str, before: int, cursor: int, *, newest: bool, limit: int
    ) -> list[tuple[str, int]]:
        """(id, first seq) of open reservations with units at a position, made before the seq ``before`` (R28).

        ``cursor`` is the first seq of the last one had before, 0 at the start.
        """
        order = -1 if newest else 1
        behind = (cursor or (before if newest else 0)) * order
        async with self._connections.take() as connection:
            rows = await connection.fetch(_SQL["promised"], partition, sku, location, before, behind, order, limit)
        return [(row["id"], row["first_seq"]) for row in rows]

    async def booked(
        self, partition: int, sku: str, location: str, source: str, through: int, *, after: int, limit: int
    ) -> list[tuple[str, int]]:
        """(id, first seq) of open reservations whose commitments at a position all came up to ``through`` (R39).

        Those that the source counts already are left out. ``after`` is the first seq of the last one had before.
        """
        async with self._connections.take() as connection:
            rows = await connection.fetch(_SQL["booked"], partition, sku, location, through, source, after, limit)
        return [(row["id"], row["first_seq"]) for row in rows]

    async def history(self, subject: str, limit: int = 1000) -> list[AnyEntry]:
        """The entries about one reservation id or sku, oldest first."""
        async with self._connections.take() as connection:
            return [_decode_entry(row["body"]) for row in await connection.fetch(_SQL["history"], subject, limit)]

    async def search(self, asked: Asked, after: Place | None, limit: int) -> list[FoundReservation]:
        """Reservations as they were journaled last, newest first, behind the place ``after``."""
        async with self._connections.take() as connection:
            return await history.search(connection, _SQL, asked, after, limit)

    async def about(
        self, partition: int, subject: str, kinds: Sequence[str] = (), *, after: Place | None = None, limit: int
    ) -> list[Happened]:
        """What happened to a reservation, a sku or a policy, newest first; without ``kinds`` of all kinds."""
        async with self._connections.take() as connection, connection.transaction(readonly=True):
            return await history.about(connection, _SQL, partition, subject, kinds, after, limit)

    async def by_client(
        self, client: str, kinds: Sequence[str] = (), *, after: Place | None = None, limit: int
    ) -> list[Happened]:
        """What one client did, newest first."""
        async with self._connections.take() as connection, connection.transaction(readonly=True):
            return await history.by_client(connection, _SQL, client, kinds, after, limit)

    async def forget_customer(self, customer: str) -> tuple[int, int]:
        """Take a customer from what has ended: from how many reservations, and how many still name it."""
        async with self._connections.take() as connection:
            forgotten, kept = await connection.fetchrow(_SQL["forget_customer"], customer)
        return forgotten, kept

    async def policies_after(self, kind: str, id: str, limit: int) -> list[Policy]:
        """A page of a kind's objects by id, deleted ones among them, for kinds with too many for one list."""
        async with self._connections.take() as connection:
            rows = await connection.fetch(_SQL["policies_after"], kind, id, limit)
        return [Policy(kind, row["id"], row["version"], row["body"]) for row in rows]

    async def explanation(self, partition: int, seq: int, sku: str) -> SkuReading:
        """Everything the sku's availability was made of after the entry ``seq``. Raises NotJournaled."""
        async with self._connections.take() as connection, connection.transaction(readonly=True):
            first, last, begins = await connection.fetchrow(_SQL["span"], partition)
            if last is None or seq > last:
                raise NotJournaled(f"the journal of partition {partition} ends at {last or 0}")
            if first is None or seq < first:
                raise NotJournaled(f"the journal of partition {partition} begins at {first or last}")
            if not await connection.fetchval(_SQL["has_entry"], partition, seq):
                raise NotJournaled(f"the journal of partition {partition} does not have the entry {seq}")
            return await Past(connection, _SQL, partition, seq, begins).reading(sku)

    async def exceptions(
        self, kind: str = "", *, open: bool | None = None, before: int = 0, limit: int = 100
    ) -> list[ExceptionRow]:
        """What a person should look at, newest first; see ``exceptions.find``."""
        async with self._connections.take() as connection:
            return await exceptions.find(connection, _SQL, kind, open=open, before=before, limit=limit)

    async def exception(self, id: int) -> ExceptionRow | None:
        """One exception, or None."""
        async with self._connections.take() as connection:
            return await exceptions.get(connection, _SQL, id)

    async def close_exception(self, id: int, resolution: str, client: str, reason: str) -> None:
        """A person's word on an exception that the journal found by itself, or that ended by what the person did.

        All others end by an entry of the ledger.
        """
        async with self._connections.take() as connection:
            await connection.execute(_SQL["close_exception"], id, resolution, client, reason)

    async def raise_gap(self, partition: int, detail: str) -> None:
        """Tell people that the journal lost entries (R20); once while that is open."""
        async with self._connections.take() as connection:
            body = json.encode({"detail": detail})
            await connection.execute(_SQL["raise_found"], partition, Kind.JOURNAL_GAP.value, body)

    async def stream_positions(self) -> dict[tuple[str, int], int]:
        """(stream, partition) to the position up to which the journal knows it settled (R15)."""
        async with self._connections.take() as connection:
            rows = await connection.fetch(_SQL["stream_positions"])
        return {(row["stream"], row["partition"]): row["position"] for row in rows}

    async def _prepare(self, connection: asyncpg.Connection) -> None:
        """Of every new connection: JSON as the bytes msgspec writes, and the namespace, which must be ours."""
        await connection.set_type_codec("json", schema="pg_catalog", encoder=_as_is, decoder=bytes, format="binary")
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=_to_jsonb, decoder=_from_jsonb, format="binary"
        )
        namespace = await connection.fetchval(_SQL["namespace"])
        if namespace is None:
            await connection.execute(_SQL["claim_namespace"], self._settings.namespace)
            namespace = await connection.fetchval(_SQL["namespace"])
        if namespace != self._settings.namespace:
            raise JournalForeign(
                f"this database is the journal of namespace {namespace!r}, not of {self._settings.namespace!r}: "
                "check ATP_DATABASE_URL and ATP_NAMESPACE"
            )


def check_gapless(after: int, entries: list[AnyEntry]) -> None:
    """Raise JournalGap unless ``entries`` continue ``after`` one by one.

    Only two may stand further on: the entry that opens an epoch says that the numbers between are not used, and one
    that stands for lost entries says so.
    """
    expected = after + 1
    for entry in entries:
        if entry.seq != expected and not (entry.seq > expected and isinstance(entry, LedgerOpened | EntriesMissing)):
            raise JournalGap(f"expected seq {expected}, the ledger's next entry is {entry.seq}")
        expected = entry.seq + 1


def _as_is(body: bytes) -> bytes:
    return body


def _to_jsonb(body: bytes) -> bytes:
    return b"\x01" + body  # jsonb's wire format: a version byte, then the text


def _from_jsonb(body: bytes) -> bytes:
    return bytes(body[1:])
