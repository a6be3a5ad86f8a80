"""Checking: what a check of the ledger asks the journal, and the runs themselves, which stay."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct, json

from atp.domain.entries import AnyEntry
from atp.domain.exceptions import subject
from atp.domain.records import Balance, Reservation
from atp.journal.connections import Connections

#: Rows of one answer.
PAGE = 1_000

_entry = json.Decoder(AnyEntry).decode
_reservation = json.Decoder(Reservation).decode


class Run(Struct, frozen=True):
    """A run as its claimer found it."""

    id: int
    repair: bool
    share: float
    looked: int
    found: int
    repaired: int
    state: bytes | None  # how far it came


class RunRow(Struct, frozen=True):
    """A run as people see it; ``progress`` is 0…1."""

    id: int
    status: str  # waiting, running, done, failed
    requested_at: datetime
    requested_by: str
    repair: bool
    started_at: datetime | None
    finished_at: datetime | None
    progress: float
    stage: str
    looked: int
    found: int
    repaired: int
    note: str


class Level(Struct, frozen=True):
    """What a source last said of a position."""

    sku: str
    location: str
    source: str
    seq: int
    number: int

    @property
    def cursor(self) -> str:
        """What ``levels_after`` goes on behind."""
        return f"{self.sku}\x1f{self.location}\x1f{self.source}"


class Checking:
    """Every method may raise JournalUnavailable, and can simply be called again."""

    def __init__(self, connections: Connections, sql: Mapping[str, str]) -> None:
        self._connections, self._sql = connections, sql

    # ---- what the journal has

    async def ended(self, partition: int, sku: str, after: int, through: int) -> list[Reservation]:
        """Ended reservations of a sku, by the seqs they were made and ended at, oldest first."""
        async with self._connections.take() as connection:
            rows = await connection.fetch(self._sql["ended_of_sku"], partition, sku, after, through, PAGE)
        return [_reservation(row["body"]) for row in rows]

    async def newest(self, ids: Sequence[str]) -> dict[str, tuple[int, Reservation]]:
        """The newest state of reservations, with the seq of its change."""
        async with self._connections.take() as connection:
            rows = await connection.fetch(self._sql["newest_of"], list(ids))
        return {row["id"]: (row["updated_seq"], _reservation(row["body"])) for row in rows}

    async def live(self, partition: int, after: str) -> list[str]:
        """A page of ids of live reservations, in order."""
        async with self._connections.take() as connection:
            return [row["id"] for row in await connection.fetch(self._sql["live_after"], partition, after, PAGE)]

    async def balances(
        self, partition: int, places: Sequence[tuple[str, str]], seq: int
    ) -> dict[tuple[str, str], Balance | None]:
        """The balances of positions as they were after the entry ``seq``, which is journaled.

        One that never changed is not there; None stands for one whose entry has gone with its day.
        """
        skus, locations = [sku for sku, _ in places], [at for _, at in places]
        async with self._connections.take() as connection:
            rows = await connection.fetch(self._sql["changes_at"], partition, skus, locations, seq)
            seqs = sorted({row["seq"] for row in rows if row["seq"] is not None})
            bodies = await connection.fetch(self._sql["entries_at"], partition, seqs)
            inside = [row["after"] for row in rows if row["after"] is not None and row["after"] < seq]
            if inside:  # the seq lies within a batch of the journal: what changed before it there, only entries tell
                bodies += await connection.fetch(self._sql["entries_between"], partition, min(inside), seq)
        entries = sorted((_entry(row["body"]) for row in bodies), key=lambda entry: entry.seq)
        found: dict[tuple[str, str], Balance | None]
        found = {(row["sku"], row["location"]): None for row in rows if row["seq"] is not None}
        wanted = set(places)
        for balance in (b for entry in entries for b in getattr(entry, "balances", ())):
            if (balance.sku, balance.location) in wanted:
                found[balance.sku, balance.location] = balance
        return found

    async def levels(self, partition: int, places: Sequence[tuple[str, str]]) -> list[Level]:
        """What sources last said of positions."""
        skus, locations = [sku for sku, _ in places], [at for _, at in places]
        async with self._connections.take() as connection:
            rows = await connection.fetch(self._sql["levels_of"], partition, skus, locations)
        return [Level(**row) for row in rows]

    async def levels_after(self, partition: int, cursor: str) -> list[Level]:
        """A page of all of them, in order; "" is the first."""
        behind = cursor.split("\x1f") if cursor else ["", "", ""]
        async with self._connections.take() as connection:
            rows = await connection.fetch(self._sql["levels_after"], partition, *behind, PAGE)
        return [Level(**row) for row in rows]

    async def policies(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, str]]:
        """Version and body of policy objects by kind and id."""
        kinds, ids = [kind for kind, _ in names], [id for _, id in names]
        async with self._connections.take() as connection:
            rows = await connection.fetch(self._sql["policies_of"], kinds, ids)
        return {(row["kind"], row["id"]): (row["version"], row["body"]) for row in rows}

    async def missing(self, partition: int) -> int:
        """The last seq of the entries that the journal lost, 0 if it has all: what it says of before may be old."""
        async with self._connections.take() as connection:
            return await connection.fetchval(self._sql["last_missing"], partition) or 0

    async def open_exceptions(self, partition: int) -> dict[str, int]:
        """Subject and raising entry of those that the ledger should know as open; shortages are the law's own."""
        async with self._connections.take() as connection:
            rows = await connection.fetch(self._sql["open_exceptions"], partition)
        return {subject(*row[:5]): row["seq"] for row in rows}

    # ---- runs

    async def request(self, client: str, *, repair: bool, share: float) -> int:
        """Ask for a run; whoever runs checks takes it up. Returns its id."""
        async with self._connections.take() as connection:
            return await connection.fetchval(self._sql["request_check"], client, repair, share)

    async def claim(self, owner: str, dead_after_s: float, id: int = 0) -> Run | None:
        """Take up a run that nobody is at; None if there is none, or another one is under way."""
        async with self._connections.take() as connection:
            row = await connection.fetchrow(self._sql["claim_check"], owner, dead_after_s, id)
        return Run(**row) if row else None

    async def save(self, run: Run, owner: str, progress: float, stage: str, state: bytes | None) -> bool:
        """Say how far it came and that its runner lives; False when somebody else has taken it over."""
        async with self._connections.take() as connection:
            return bool(
                await connection.fetchval(
                    self._sql["save_check"], run.id, owner, progress, stage, run.looked, run.found, run.repaired, state
                )
            )

    async def beat(self, id: int, owner: str) -> bool:
        """Say that its runner lives; False when somebody else has taken it over."""
        async with self._connections.take() as connection:
            return bool(await connection.fetchval(self._sql["beat_check"], id, owner))

    async def save_finding(self, id: int, n: int, body: bytes) -> None:
        """Keep a finding, or what became of it."""
        async with self._connections.take() as connection:
            await connection.execute(self._sql["save_finding"], id, n, body)

    async def end(self, id: int, owner: str, status: str, note: str) -> None:
        """A run is over."""
        async with self._connections.take() as connection:
            await connection.execute(self._sql["end_check"], id, owner, status, note)

    async def run(self, id: int) -> RunRow | None:
        """One run, or None."""
        async with self._connections.take() as connection:
            row = await connection.fetchrow(self._sql["check"], id)
        return RunRow(**row) if row else None

    async def runs(self, limit: int) -> list[RunRow]:
        """Runs, newest first."""
        async with self._connections.take() as connection:
            return [RunRow(**row) for row in await connection.fetch(self._sql["checks"], limit)]

    async def findings(self, id: int, limit: int) -> list[bytes]:
        """What a run found, as JSON."""
        async with self._connections.take() as connection:
            return [row["body"] for row in await connection.fetch(self._sql["check_findings"], id, limit)]
