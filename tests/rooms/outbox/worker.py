"""An outbox as a process of its own, for tests that kill it: ``python -m tests.rooms.outbox.worker <json>``."""

import asyncio
import sys

import nats as nats_client
from msgspec import Struct, json

from atp.journal import Journal
from atp.ledger import Ledger
from atp.outbox import Outbox, Settings
from tests.support import patient_journal, patient_ledger


class Work(Struct):
    """Where to work."""

    valkey: str
    database: str
    nats: str
    namespace: str
    settings: Settings
    idle_transaction_s: float = 5.0


async def main(work: Work) -> None:
    journal = Journal(patient_journal(work.database, work.namespace, idle_transaction_s=work.idle_transaction_s))
    await journal.open()
    ledger = Ledger(patient_ledger(work.valkey, work.namespace))
    await ledger.open(await journal.heads())
    nats = await nats_client.connect(work.nats, pending_size=0)
    await Outbox(nats, ledger, journal, work.settings).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(json.decode(sys.argv[1], type=Work)))
