"""Witnesses: who knows how far the ledger was (R2). Processes and the journal are asked by the rebuilder itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import nats.errors
from nats.aio.client import Client as Nats
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from atp.domain.ids import position_in
from atp.rebuild.settings import Settings

#: Messages looked at from the stream's end: partitions share the stream.
LOOK_BACK = 64


class LastTold:
    """The last event that NATS has of each partition; None of NATS, or one that is away, knows nothing."""

    def __init__(self, nats: Nats | None, settings: Settings) -> None:
        self._nats = nats
        self._settings = settings

    async def seq(self, partition: int) -> int:
        """The highest seq among the stream's last events of the partition, 0 if nobody can say."""
        if self._nats is None or not self._nats.is_connected:
            return 0
        found = [0]
        with contextlib.suppress(TimeoutError, OSError, nats.errors.Error, JetStreamError):
            async with asyncio.timeout(self._settings.told_s):
                async for of, seq in self._last(self._nats):
                    found += [seq] if of == partition else []
        return max(found)  # where NATS is too slow to tell of more, what it told counts: it is newest first

    async def _last(self, client: Nats) -> AsyncIterator[tuple[int, int]]:
        """Partition and seq of the stream's last events."""
        js = client.jetstream(timeout=self._settings.told_s)
        state = (await js.stream_info(self._settings.stream)).state
        for position in range(state.last_seq, max(state.first_seq - 1, state.last_seq - LOOK_BACK), -1):
            with contextlib.suppress(NotFoundError):  # somebody took that one away
                message = await js.get_msg(self._settings.stream, position)
                yield position_in((message.headers or {}).get("ce-id", ""))
