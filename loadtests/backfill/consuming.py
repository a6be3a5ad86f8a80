"""The ingest process of the backfill: consumer and sweeper as ``atp ingest`` runs them, without a journal."""

import asyncio
import json
import os
import resource
import signal

import nats
import uvloop

from atp.ingest import Consumer, Settings, Sweeper
from atp.ledger import Ledger, LedgerSettings


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    ledger = Ledger(LedgerSettings(os.environ["BACKFILL_REDIS_URL"]))
    await ledger.open({})
    client = await nats.connect(os.environ["BACKFILL_NATS_URL"], pending_size=0)
    consumer, settings = Consumer(client, ledger), Settings()
    await asyncio.gather(consumer.run(stop), Sweeper(ledger, settings).run(stop))
    await client.close()
    await ledger.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"peak_kb": used.ru_maxrss, "cpu_s": used.ru_utime + used.ru_stime, "events": consumer.counters.events}
    print(json.dumps(told))


if __name__ == "__main__":
    uvloop.run(main())
