"""Ledger: the one door to live state. Callers submit commands and get results; batching stays behind it."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence

from msgspec import structs

from atp.domain.commands import Command, FollowHome, PutBack, PutPolicy, Raise, Repair, Resolve
from atp.domain.entries import AnyEntry
from atp.domain.explain import SkuReading
from atp.domain.ids import partition_of, reservation_partition
from atp.domain.records import FORMAT, Asked, Policy, Reservation, SkuStock, SkuUnits
from atp.domain.results import Result
from atp.domain.state import Shortage
from atp.ledger import fitness, wire
from atp.ledger.batcher import Batcher
from atp.ledger.connection import ServerRefused, connect
from atp.ledger.errors import BasketInProgress, LedgerError, LedgerRecovering, LedgerUnavailable, LedgerUnfit
from atp.ledger.gauges import Gauges
from atp.ledger.loading import load_library
from atp.ledger.looks import Looks
from atp.ledger.quotas import Quotas
from atp.ledger.reader import Reader
from atp.ledger.rooms import Rooms
from atp.ledger.routing import policy_home
from atp.ledger.settings import LedgerSettings
from atp.ledger.snapshots import Snapshots
from atp.ledger.sources import Sources
from atp.ledger.spanning import Spanning
from atp.ledger.supplies import Supplies
from atp.ledger.watermark import Watermark
from atp.ledger.wire import Head
from atp.telemetry import QUEUE_FILL
from atp.waiting import stopped_within

#: The law this release writes; a ledger under another law is refused (R35).
LAW = FORMAT

#: The seller that availability speaks of when nobody says another.
ANYBODY = Asked()

#: How long opening waits for a server that may be starting.
OPEN_TIMEOUT_S = 2.0

#: How long the sweeper lets a due hold wait when nothing else sends batches.
SWEEP_INTERVAL_S = 0.1

#: How often it looks for legs that are behind their record, or that nobody decides: they follow within a second (R3).
FOLLOW_INTERVAL_S = 0.3


class Ledger:
    """Live balances and reservations; open it before use, close it to finish what is queued."""

    def __init__(self, settings: LedgerSettings) -> None:
        self.settings = settings
        self.partitions = settings.partitions
        process = settings.process or f"p-{secrets.token_hex(6)}"
        self._readers = [
            Reader(settings.url, settings.namespace, p, settings.limits) for p in range(settings.partitions)
        ]
        self._batchers = [
            Batcher(
                settings.url, settings.namespace, p, process, settings.limits, settings.durability,
                Watermark(reader.watermark) if settings.durability == "journal" else None,
            )
            for p, reader in enumerate(self._readers)
        ]  # fmt: skip
        self.spanning = Spanning(self._batchers, self._readers)
        self.snapshots = Snapshots(self._batchers, self._readers)
        self.sources = Sources(self._batchers, self._readers)
        self.supplies, self.looks = Supplies(self._readers), Looks(self._readers)
        self.quotas, self.rooms = Quotas(self._readers[0]), Rooms(self._readers[0])
        self.gauges = Gauges(self._batchers, settings.limits.outbox_max)

    async def open(self, witness: dict[int, int] | None = None, *, join: bool = False) -> None:
        """Check the server, load the library, find every partition's head, create an empty ledger.

        ``witness`` is the journal's highest seq per partition, None when the journal cannot be asked. An empty ledger
        is created only beside an empty journal (R2). One that must be rebuilt first is waited for with ``join``: until
        then all calls raise LedgerRecovering. Raises LedgerUnavailable, LedgerUnfit, and without it LedgerRecovering.
        """
        await self._prepare()
        try:
            for partition, batcher in enumerate(self._batchers):
                seen = (witness or {}).get(partition, 0)
                try:
                    head = await self._open_partition(partition, witness)
                except LedgerRecovering as recovering:
                    if not join:
                        raise
                    reader = self._readers[partition]
                    epoch = await reader.command("HGET", reader.key("meta"), "epoch")
                    batcher.start(int(epoch or 0), seen, recovering)
                    continue
                batcher.policy_version = head.policy_version
                batcher.start(head.epoch, head.seq)
            QUEUE_FILL.set_function(lambda: self.load)  # a process has one ledger
        except LedgerError:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is queued, then close every connection."""
        await asyncio.gather(self.spanning.close(), self.sources.close())
        await asyncio.gather(*(batcher.close() for batcher in self._batchers))
        await asyncio.gather(*(reader.close() for reader in self._readers))

    # -- commands ----------------------------------------------------------------------------------------------------

    def submit(self, command: Command) -> asyncio.Future[Result]:
        """Queue one command for its partition's next batch, or begin a basket that spans partitions.

        Raises LedgerBusy, LedgerUnavailable, LedgerRecovering or CrossPartition at once; the future may raise
        OutcomeUnknown as well. Cancelling the future abandons the answer, never the command.
        """
        return self.spanning.submit(command)

    def submit_to(
        self, partition: int, command: Raise | Resolve | Repair | PutBack | FollowHome
    ) -> asyncio.Future[Result]:
        """Queue what belongs to a partition and to no sku of it; raises as ``submit``."""
        if isinstance(command, Resolve):
            command = structs.replace(command, call=secrets.randbits(52) + 1)
        return self._batchers[partition].submit(command)

    async def apply(self, commands: Sequence[Command]) -> list[Result]:
        """Apply a batch the caller holds, in order, and return a result per command.

        A cursor goes to every partition. An error speaks of the whole call: some commands may have been applied, and
        repeating the call is safe.
        """
        size = self.settings.limits.commands_max
        results: list[Result] = []
        for start in range(0, len(commands), size):
            results += await self.spanning.apply(commands[start : start + size], self.sources.signs_of_life)
        return results

    async def put_policy(self, command: PutPolicy) -> Result:
        """Replace a policy object: decided by the first partition, then copied with its version (R31)."""
        command = structs.replace(command, call=secrets.randbits(52) + 1)
        parts = [self._skus_in(partition, command.skus) for partition in range(self.partitions)]
        result = await self.submit(structs.replace(command, skus=parts[0]) if command.skus else command)
        if result.outcome.accepted and command.kind not in ("item", "item-channel"):
            copy = structs.replace(command, if_version=-1, version=result.seq, call=0)
            copies = [structs.replace(copy, skus=part) for part in parts]
            await _all([batcher.submit(copies[p]) for p, batcher in enumerate(self._batchers) if p])
        return result

    def _skus_in(self, partition: int, skus: Sequence[str]) -> list[str]:
        return [sku for sku in skus if partition_of(sku, self.partitions) == partition]

    async def sweep(self, stop: asyncio.Event) -> None:
        """Settle what is due while nobody else sends batches, until ``stop`` is set; any process may run one."""
        follow_at = 0.0
        while not await stopped_within(stop, SWEEP_INTERVAL_S):
            self.sources.watch()
            if self.partitions > 1 and time.monotonic() >= follow_at:
                follow_at = time.monotonic() + FOLLOW_INTERVAL_S
                with contextlib.suppress(LedgerError):  # the batcher reports an absent ledger
                    await self.spanning.following.sweep()
            for batcher, reader in zip(self._batchers, self._readers, strict=True):
                next_due = batcher.next_due
                if time.monotonic() - batcher.replied_at > SWEEP_INTERVAL_S:
                    try:
                        (head,) = await reader.ask(wire.ask_head())
                    except LedgerRecovering:
                        batcher.tick()  # its refusal is what the process learns from (R2)
                        continue
                    except Exception:  # noqa: S112 - the batcher reports an absent ledger; here there is nothing to settle
                        continue
                    if head.epoch != batcher.epoch or head.seq < batcher.seq:
                        batcher.tick()
                    next_due = head.next_due
                    batcher.unjournaled = head.outbox_length  # who sheds everything gets no reply that says it is over
                if next_due and next_due <= time.time() * 1000 + batcher.clock_offset_ms:
                    batcher.tick()

    # -- reads -------------------------------------------------------------------------------------------------------

    async def reservation(self, reservation: str) -> Reservation | None:
        """The record as it is now, or None if the ledger does not (or no longer) know it.

        Raises BasketInProgress while a basket over several partitions is being decided under the id.
        """
        partition = reservation_partition(reservation, self.partitions)
        if partition is None:
            return None
        asked = [wire.ask_reservation(reservation)]
        if self.partitions > 1:
            asked.insert(0, wire.ask_open(reservation))  # first: what is decided meanwhile is then found
        *is_open, found = await self._readers[partition].ask(*asked)
        if found is None and any(is_open):
            raise BasketInProgress("this basket is being decided")
        return found

    async def availability(self, skus: Sequence[str], asked: Asked = ANYBODY) -> list[SkuStock]:
        """One atomic reading per sku, in the order of ``skus``; an unknown sku has no locations.

        Only locations that the channel may sell from, and that are in the location or group asked about, are there.
        """
        groups: dict[int, list[int]] = {}
        for index, sku in enumerate(skus):
            groups.setdefault(partition_of(sku, self.partitions), []).append(index)
        found: list[SkuStock] = [SkuStock("", 0, [])] * len(skus)
        answers = await asyncio.gather(
            *(self._readers[p].ask(*(wire.ask_sku(skus[i], asked) for i in indexes)) for p, indexes in groups.items())
        )
        for indexes, group in zip(groups.values(), answers, strict=True):
            for index, answer in zip(indexes, group, strict=True):
                found[index] = answer
        return found

    async def units(self, partition: int, skus: Sequence[str]) -> list[SkuUnits]:
        """What ``availability`` says anybody may have of each sku of a partition, without what it is made of."""
        return await self._readers[partition].ask(*(wire.ask_units(sku, ANYBODY) for sku in skus))

    def read_us(self, partition: int) -> int:
        """µs of the server's CPU that this process's readings of a partition have taken."""
        return self._readers[partition].spent_us

    async def explanation(self, sku: str, asked: Asked = ANYBODY) -> SkuReading:
        """Everything the sku's availability is made of, as one atomic reading."""
        partition = partition_of(sku, self.partitions)
        return (await self._readers[partition].ask(wire.ask_explanation(sku, asked)))[0]

    async def policy(self, kind: str, name: str) -> Policy | None:
        """One policy object; items are asked of their sku's partition."""
        partition = policy_home(kind, name, self.partitions)
        return (await self._readers[partition].ask(wire.ask_policy(kind, name)))[0]

    async def policies(self, kind: str) -> list[Policy]:
        """All objects of a kind, ordered by id; items have no list here."""
        found = (await self._readers[0].ask(wire.ask_policies(kind)))[0]
        return sorted(found, key=lambda policy: policy.id)

    async def cursor(self, stream: str) -> int:
        """The stream position below which all is settled in every partition; 0 before the first batch."""
        return min((await asyncio.gather(*(r.ask(wire.ask_cursor(stream)) for r in self._readers))), default=[0])[0]

    async def heads(self) -> list[Head]:
        """Where every partition stands, by a real call of the library."""
        return [answers[0] for answers in await asyncio.gather(*(r.ask(wire.ask_head()) for r in self._readers))]

    async def shortage(self, partition: int, sku: str, location: str) -> Shortage | None:
        """The open shortage of one position, or None."""
        reader = self._readers[partition]
        stored = await reader.command("HGET", reader.key("shortage"), f"{sku}\0{location}")
        return None if stored is None else wire.decode_shortage(stored)

    async def open_shortages(self, partition: int) -> list[tuple[str, str]]:
        """(sku, location) of all short positions that were not gone through yet; a long look, in small steps."""
        reader, cursor = self._readers[partition], b"0"
        found: list[tuple[str, str]] = []
        while True:
            cursor, items = await reader.command("HSCAN", reader.key("shortage"), cursor, "COUNT", 500)
            for place, stored in zip(items[::2], items[1::2], strict=True):
                if not wire.decode_shortage(stored).done:
                    sku, _, location = place.decode().partition("\0")
                    found.append((sku, location))
            if int(cursor) == 0:
                return found

    # -- the outbox and leases ---------------------------------------------------------------------------------------

    async def read_entries(self, partition: int, after: int, limit: int, *, confirmed: bool = True) -> list[AnyEntry]:
        """Entries with seq > ``after`` in order, whole batches, about ``limit`` of them.

        At level ``replica`` only what a replica has: neither journal nor events may know what a promotion loses (R6).
        Who only wants to know what to read again takes them unconfirmed.
        """
        reader = self._readers[partition]
        read = reader.read_replicated if confirmed and self.settings.durability == "replica" else reader.command
        items = await read(
            "XRANGE", reader.key("outbox"), f"({after}-0", "+", "COUNT", max(1, limit // 16), timeout_s=5.0
        )
        entries: list[AnyEntry] = []
        for _, fields in items:
            entries += [entry for entry in wire.decode_entries(fields) if entry.seq > after]
            if len(entries) >= limit:
                break
        return entries

    async def trim(self, partition: int, through: int) -> None:
        """Drop entries that the journal has; only ever called after its commit."""
        await self._readers[partition].call("trim", through)

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """Take or renew a lease; True while ``owner`` holds it. It saves work, it does not protect state."""
        return bool(await self._readers[0].call("lease", name, owner, ttl_ms))

    # -- recovery ----------------------------------------------------------------------------------------------------

    @property
    def epochs(self) -> tuple[int, ...]:
        """Each partition's epoch; a change says that it was rebuilt, and what of it was told before may be gone."""
        return tuple(batcher.epoch for batcher in self._batchers)

    @property
    def recovering(self) -> list[int]:
        """Partitions that are not the ones this process knows: empty, behind, or of an older epoch (R2)."""
        return [batcher.partition for batcher in self._batchers if batcher.recovering]

    def witness(self, seqs: Mapping[int, int]) -> None:
        """Others know of entries up to these seqs: a ledger that is behind one of them has lost something (R2)."""
        for batcher in self._batchers:
            batcher.seq = max(batcher.seq, seqs.get(batcher.partition, 0))

    async def create(self, partition: int) -> None:
        """Begin a partition that never was; nothing if it is there."""
        await self._readers[partition].call("create", partition, self.partitions, LAW, 1, 0)

    # -- gauges ------------------------------------------------------------------------------------------------------

    @property
    def policy_version(self) -> int:
        """Changes whenever a policy other than an item's does, as of the last reply."""
        return self._batchers[0].policy_version

    @property
    def load(self) -> float:
        """Fill of the fullest queue, 0…1."""
        return max(batcher.load for batcher in self._batchers)

    @property
    def batches(self) -> tuple[int, int]:
        """(batches, commands) applied by this process so far."""
        return sum(b.batches for b in self._batchers), sum(b.commands for b in self._batchers)

    def position(self, partition: int) -> int:
        """The highest seq this process has seen."""
        return self._batchers[partition].seq

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        connection = await connect(self.settings.url, OPEN_TIMEOUT_S)
        try:
            await fitness.check(connection, self.settings.durability, unproven=self.settings.unproven_server)
            await load_library(connection)
        except (TimeoutError, ConnectionError) as problem:
            raise LedgerUnavailable(f"the ledger went away: {problem or 'no answer'}") from problem
        except ServerRefused as refused:
            raise LedgerUnavailable(f"the ledger refuses: {refused}") from refused
        finally:
            await connection.end()

    async def _open_partition(self, partition: int, witness: dict[int, int] | None) -> Head:
        reader = self._readers[partition]
        try:
            (head,) = await reader.ask(wire.ask_head())
        except LedgerRecovering:
            await self._create(partition, witness)
            (head,) = await reader.ask(wire.ask_head())
        if head.partitions != self.partitions:
            raise LedgerUnfit(f"this ledger was created with ATP_PARTITIONS={head.partitions}, not {self.partitions}")
        if head.law != LAW:
            raise LedgerUnfit(f"this ledger is under law {head.law}; this release knows law {LAW}")
        if witness and witness.get(partition, 0) > head.seq:
            raise LedgerRecovering(
                f"the journal knows entry {witness[partition]} of partition {partition}, the ledger ends at {head.seq}"
            )
        return head

    async def _create(self, partition: int, witness: dict[int, int] | None) -> None:
        if witness is None:
            raise LedgerRecovering("the ledger is empty and the journal cannot be asked whether it always was")
        if any(witness.values()):
            raise LedgerRecovering("the ledger is empty but the journal is not: run `atp rebuild`, or a service")
        await self.create(partition)


async def _all(waiting: Sequence[asyncio.Future[Result]]) -> list[Result]:
    """Wait for all, then raise the first failure: none is left behind unseen."""
    results = await asyncio.gather(*waiting, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Result)]
