"""A reader as a process of its own, for tests that kill it: ``python -m tests.rooms.ingest.worker <json>``."""

import asyncio
import sys

import nats as nats_client
from msgspec import Struct, json

from atp.ingest import Consumer, Settings
from atp.ledger import Ledger, LedgerError
from tests.support import patient_ledger


class Work(Struct):
    """What to read, and where to."""

    nats: str
    valkey: str
    namespace: str
    settings: Settings


async def main(work: Work) -> None:
    nc = await nats_client.connect(work.nats, max_reconnect_attempts=-1, reconnect_time_wait=0.1, pending_size=0)
    ledger = Ledger(patient_ledger(work.valkey, work.namespace))
    while True:
        try:
            await ledger.open(None)
            break
        except LedgerError:
            await asyncio.sleep(0.1)
    await Consumer(nc, ledger, work.settings).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(json.decode(sys.argv[1], type=Work)))
