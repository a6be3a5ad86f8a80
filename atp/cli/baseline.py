"""``atp baseline``: a whole state of each partition, so that a rebuild need not begin with the first entry."""

import json

from atp import config as settings
from atp.cli.client import find_stores
from atp.cli.output import note, run_once


def baseline(*, live: bool = False, json_: bool = False) -> int:
    """Write a baseline of every partition into the journal: a rebuild begins with the newest one.

    It is made of the baseline before and the entries behind it, without the ledger; `atp drain` does the same every
    ATP_BASELINE_HOURS. Needs ATP_DATABASE_URL, and with --live ATP_REDIS_URL, or the `atp dev` of this folder.

    Example: atp baseline

    Parameters
    ----------
    live
        Copy the ledger itself, for a journal that lost entries. The ledger answers nobody while it copies, about a
        second per million records, and needs twice its memory until the copy is read.
    json_
        Print the positions as JSON; null where nothing is new, or another process makes one.
    """
    config = find_stores(settings.load(), *(() if live else ("database_url",)))
    return run_once(config, _baseline(config, live, json_), config.log_level)


async def _baseline(config: settings.Config, live: bool, as_json: bool) -> int:
    from atp.outbox import live_baseline
    from atp.rebuild import Settings, make_baseline
    from atp.wiring import open_journal, open_ledger

    made: dict[int, int] = {}
    async with open_journal(config) as journal:
        if live:
            async with open_ledger(config, journal) as ledger:
                for partition in range(config.partitions):
                    made[partition] = await live_baseline(ledger, journal, partition)
        else:
            for partition in range(config.partitions):
                made[partition] = await make_baseline(journal, partition, Settings())
    if as_json:
        print(json.dumps({str(partition): seq or None for partition, seq in made.items()}))
        return 0
    for partition, seq in made.items():
        note(
            f"partition {partition}: " + (f"baseline at {seq}" if seq else "nothing new, or another process makes one")
        )
    return 0
