"""What goes on behind the doors, for the view: lags, hot stock, and processes that came back."""

import asyncio
from pathlib import Path

import asyncpg
from msgspec import Struct, field, json
from nats.errors import Error as NatsError

from atp.demo import documents
from atp.demo.closing import STOCK_STREAM
from atp.demo.evidence import Evidence
from atp.demo.http import Client, NoAnswer
from atp.demo.retailer import Item
from atp.demo.tally import Tally

_LOOK_S = 0.5
_CONSUMER = "atp-ingest-0"


class Sight(Struct):
    """The newest look. None is what could not be seen, because a server was away."""

    ingest_lag: int | None = None  # messages
    journal_lag: int | None = None  # entries
    hot: dict[str, int] = field(default_factory=dict)  # sku → units left
    restarts: dict[str, int] = field(default_factory=dict)  # process → times it came back
    notes: list[str] = field(default_factory=list)  # what the supervisor said


class Watch:
    """Looks twice a second."""

    def __init__(self, evidence: Evidence, run_dir: Path, hot: list[Item], tally: Tally) -> None:
        self.sight = Sight()
        self._evidence = evidence
        self._run_dir = run_dir
        self._hot = json.encode({"skus": [item.sku for item in hot]})
        self._tally = tally
        self._client = Client(evidence.endpoints.api, evidence.endpoints.api_key)
        self._pids: dict[str, str] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.run_once()
            await asyncio.sleep(_LOOK_S)

    async def run_once(self) -> None:
        """One look. Whatever is away shows as unknown."""
        self._look_at_processes()
        sight = self.sight
        sight.ingest_lag = await _or_none(self._ingest_lag())
        sight.journal_lag = await _or_none(self._journal_lag())
        try:
            answer = await self._client.ask("POST", "/v1/availability/query", self._hot, timeout_s=1)
            if answer.status == 200:
                sight.hot = {item.sku: item.ats for item in documents.availability_list(answer.body).availability}
        except NoAnswer:
            pass

    async def _ingest_lag(self) -> int:
        info = await self._evidence.js.consumer_info(STOCK_STREAM, _CONSUMER, timeout=1)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def _journal_lag(self) -> int:
        journaled, _ = await self._evidence.journal_heads()
        return max(0, self._tally.position - max(journaled.values(), default=0))

    def _look_at_processes(self) -> None:
        for path in self._run_dir.glob("*.pid"):
            try:
                pid = path.read_text().strip()
            except OSError:
                continue
            if self._pids.setdefault(path.stem, pid) != pid:
                self._pids[path.stem] = pid
                self.sight.restarts[path.stem] = self.sight.restarts.get(path.stem, 0) + 1


async def _or_none(looking) -> int | None:
    try:
        return await asyncio.wait_for(looking, 1.5)
    except (NatsError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return None
