"""``atp promote``: make a replica of the ledger its primary, by a step that begins a new epoch."""

import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from atp import config as settings
from atp.cli.errors import Misused, Refused
from atp.cli.output import note, run_once

if TYPE_CHECKING:
    from atp.ledger.promotion import Promotion, Standing

Url = Annotated[str, Parameter(help="The replica: redis://[user:password@]host:port/db. ATP_REDIS_URL otherwise.")]


def promote(url: Url = "", *, yes: bool = False, json_: bool = False) -> int:
    """Make a replica of the ledger its primary, and begin a new epoch before it takes a batch.

    What the primary before had alone was never acknowledged at ATP_DURABILITY=replica, and it is refused from now on.
    Run it as well when another hand made the replica a primary: every process says `recovering` until then. With
    ATP_DATABASE_URL it is checked that the replica lacks nothing that the journal has. Exits with 1 when it does.

    Example: atp promote redis://10.0.0.7:6379/0

    Parameters
    ----------
    yes
        Do not ask.
    json_
        Print what was done as JSON.
    """
    config = settings.load()
    url = url or config.redis_url
    if not url:
        raise Misused("name the replica: atp promote redis://host:port/0")
    return run_once(config, _promote(config, url, yes, json_))


async def _promote(config: settings.Config, url: str, yes: bool, as_json: bool) -> int:
    from atp.ledger.promotion import look, promote

    standing = await look(url, config.namespace, config.durability)
    journaled = await _journaled(config)
    if not yes:
        _ask(settings.mask(url), standing)
    done = await promote(url, config.namespace, journaled)
    if as_json:
        print(msgspec.json.encode({"was": standing, "begun": done.begun, "missing": done.missing}).decode())
    else:
        _tell(standing, done)
    return 1 if done.missing else 0


async def _journaled(config: settings.Config) -> dict[int, int]:
    """What the journal has of each partition; nothing while it cannot be asked, which is said."""
    from atp.journal import JournalError
    from atp.wiring import open_journal

    if not config.database_url:
        note("ATP_DATABASE_URL is not set: it is not checked whether the replica lacks what the journal has")
        return {}
    try:
        async with open_journal(config) as journal:
            return await journal.heads()
    except JournalError as problem:
        note(f"it is not checked whether the replica lacks what the journal has: {problem}")
        return {}


def _ask(url: str, standing: "Standing") -> None:
    if not sys.stdin.isatty():
        raise Refused("nobody is here to ask; say --yes")
    if standing.linked:
        note(f"its primary {standing.primary} still answers it, and will refuse writes without its replica")
    was = f"a replica of {standing.primary}" if standing.replica else "a primary already"
    note(f"{url} is {was}. Make it the primary of the ledger, with a new epoch? Type yes: ")
    if sys.stdin.readline().strip() != "yes":
        raise Refused("nothing was changed")


def _tell(standing: "Standing", done: "Promotion") -> None:
    print(
        f"it was {'a replica of ' + standing.primary if standing.replica else 'a primary already'} and is the primary"
    )
    if not done.begun and not done.missing:
        print("its epoch had begun before: nothing was changed")
        return
    for begun in done.begun:
        print(f"partition {begun.partition}: epoch {begun.epoch} begins at {begun.seq}; before, {begun.ended}")
    for partition, seq, journaled in done.missing:
        print(f"partition {partition}: ends at {seq}, the journal has {journaled}; no epoch was begun")
    if done.missing:
        print(
            "next: let ATP_REDIS_URL name it; any process, or atp rebuild, then makes its state anew from the journal"
        )
    else:
        print("next: let ATP_REDIS_URL name it everywhere, and give it a replica (on that: REPLICAOF host port)")
