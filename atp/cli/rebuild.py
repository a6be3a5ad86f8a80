"""``atp rebuild``: make the ledger anew from the journal, by hand."""

import sys
from typing import TYPE_CHECKING

import msgspec

from atp import config as settings
from atp.cli.client import find_stores
from atp.cli.errors import Refused
from atp.cli.output import note, run_once, watched

if TYPE_CHECKING:
    from atp.journal import Journal
    from atp.ledger import Ledger
    from atp.rebuild import Rebuilt


def rebuild(*, accept_loss: bool = False, yes: bool = False, json_: bool = False) -> int:
    """Make every partition of the ledger anew from the newest baseline and the journal's entries.

    A service does this alone when its ledger is empty or lost its tail; this command is for a ledger that is there and
    not believed. While it runs every request is answered 503 `recovering`. What the ledger has not journaled yet is
    journaled first. Needs ATP_REDIS_URL and ATP_DATABASE_URL, or the `atp dev` of this folder; ATP_NATS_URL, if set, is
    a witness.

    Example: atp rebuild --yes

    Parameters
    ----------
    accept_loss
        Sell although acknowledged changes are gone. If a rebuild before has left the ledger closed for that, it is
        opened and nothing is made anew.
    yes
        Do not ask.
    json_
        Print what was done as JSON.
    """
    config = find_stores(settings.load())
    log_level = "error" if sys.stderr.isatty() else config.log_level  # a terminal has the bar
    return run_once(config, _rebuild(config, accept_loss, yes, json_), log_level)


async def _rebuild(config: settings.Config, accept_loss: bool, yes: bool, as_json: bool) -> int:
    from atp.rebuild import accept
    from atp.wiring import open_journal, open_ledger

    async with open_journal(config) as journal, open_ledger(config, journal, join=True) as ledger:
        if accept_loss and (accepted := await accept(ledger, "atp rebuild", "--accept-loss")):
            _tell([], accepted, as_json)
            return 0
        if not yes:
            _confirm(ledger)
        done = await _run(config, journal, ledger, accept_loss)
    _tell(done, [], as_json)
    return 0


async def _run(config: settings.Config, journal: "Journal", ledger: "Ledger", accept_loss: bool) -> "list[Rebuilt]":
    import asyncio
    import contextlib
    from secrets import token_hex

    from atp.rebuild import LastTold, Rebuilder, leased
    from atp.wiring import open_nats, rebuild_settings

    limits = rebuild_settings(config)
    done: list[Rebuilt] = []
    async with contextlib.AsyncExitStack() as stack:
        nats = None
        if config.nats_url:
            nats = await stack.enter_async_context(open_nats(config, "rebuild", asyncio.Event(), wait=False))
        move = stack.enter_context(watched("rebuild", None, quiet=False))
        for partition in range(ledger.partitions):

            async def show(phase: str, count: int, total: int, partition: int = partition) -> None:
                move(description=f"partition {partition}: {phase}", completed=count, total=total or None)

            rebuilder = Rebuilder(ledger, journal, partition, LastTold(nats, limits), limits, show)
            async with leased(ledger, partition, token_hex(8), limits.lease_ms) as mine:
                if not mine:
                    raise Refused(f"another process makes partition {partition} anew: its log says how far it is")
                if (one := await rebuilder.run(by_hand=True, accept_loss=accept_loss)) is not None:
                    done.append(one)
            move(description=f"partition {partition}: done", completed=1, total=1)
    return done


def _confirm(ledger: "Ledger") -> None:
    lost = ledger.recovering
    what = f"partitions {lost} are empty or behind" if lost else "the ledger is well; it will be closed, and made anew"
    if not sys.stdin.isatty():
        raise Refused(f"{what}: add --yes to go on")
    note(f"{what}. Go on? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was done")


def _tell(done: "list[Rebuilt]", accepted: list[int], as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode({"rebuilt": done, "accepted": accepted}).decode())
        return
    for partition in accepted:
        note(f"partition {partition}: the loss is accepted, it sells again")
    for one in done:
        took = sum(one.seconds.values())
        note(f"partition {one.partition}: {one.records} records in {took:.1f} s, epoch {one.epoch} from {one.seq}")
        if one.loss:
            note(f"  {one.loss}" + ("" if one.accepted else "; nothing is sold until `atp rebuild --accept-loss`"))
