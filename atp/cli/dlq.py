"""``atp dlq``: dead letters, on NATS alone, so that it works while everything else is down."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from atp import config as settings
from atp.cli.client import find_nats
from atp.cli.errors import FAILED, Misused, Refused
from atp.cli.output import note, printable, run_once, shown_time

if TYPE_CHECKING:
    from atp.deadletters import Chosen, Desk, Done, Letter

_CONNECT_S = 5
_LOG_LEVEL = "error"  # each attempt to connect would be a warning
_FAILURES_SHOWN = 20
_ID_MAX = (1 << 63) - 1

Ids = Annotated[list[int] | None, Parameter(help="Ids of letters, as `atp dlq list` shows them.", negative=())]


def list_letters(*, source: str = "", reason: str = "", limit: int = 100, after: int = 0, json_: bool = False) -> int:
    """List messages that ingest set aside, oldest first, with the reason.

    Needs ATP_NATS_URL, or the `atp dev` of this folder.

    Example: atp dlq list --source wms-east --reason unknown-location

    Parameters
    ----------
    source
        Only of this source.
    reason
        Only with this reason.
    limit
        Letters shown, at most 10,000.
    after
        Go on behind this id.
    json_
        Print as JSON.
    """
    if not 1 <= limit <= 10_000:
        raise Misused("--limit is 1 to 10,000")
    if not 0 <= after <= _ID_MAX:
        raise Misused("--after is an id of a letter, or 0")
    config = settings.load()
    return run_once(config, _list(config, _chosen(source, reason, ""), after, limit, json_), _LOG_LEVEL)


def show(id: Annotated[int, Parameter(help="The letter's id.")], *, json_: bool = False) -> int:
    """Show one dead letter: reason, place in the payload, headers and payload of the original.

    Example: atp dlq show 17

    Parameters
    ----------
    json_
        Print as JSON.
    """
    _check_ids([id])
    config = settings.load()
    return run_once(config, _show(config, id, json_), _LOG_LEVEL)


def replay(
    ids: Ids = None,
    *,
    all_: bool = False,
    source: str = "",
    reason: str = "",
    before: str = "",
    json_: bool = False,
) -> int:
    """Send dead letters to their subject again: some by id, those of a source or reason, or all.

    Each keeps its own id and version, so an old level stays stale and nothing counts twice. It is removed when the
    stream has taken it; what fails once more is a new letter.

    Example: atp dlq replay --reason unknown-location

    Parameters
    ----------
    all_
        All that are there now.
    source
        Only of this source.
    reason
        Only with this reason.
    before
        Only those set aside before this RFC 3339 time.
    json_
        Print as JSON.
    """
    chosen = _meant(ids, all_, source, reason, before)
    config = settings.load()
    return run_once(config, _many(config, "replayed", ids or [], chosen, json_), _LOG_LEVEL)


def discard(
    ids: Ids = None,
    *,
    all_: bool = False,
    source: str = "",
    reason: str = "",
    before: str = "",
    json_: bool = False,
) -> int:
    """Throw dead letters away: some by id, those of a source or reason, or all.

    Example: atp dlq discard 17 18

    Parameters
    ----------
    all_
        All that are there now.
    source
        Only of this source.
    reason
        Only with this reason.
    before
        Only those set aside before this RFC 3339 time.
    json_
        Print as JSON.
    """
    chosen = _meant(ids, all_, source, reason, before)
    config = settings.load()
    return run_once(config, _many(config, "discarded", ids or [], chosen, json_), _LOG_LEVEL)


# -- which letters ----------------------------------------------------------------------------------------------------


def _meant(ids: list[int] | None, everything: bool, source: str, reason: str, before: str) -> "Chosen":
    """What the filters choose. Said too little or too much is refused: it may not be undone."""
    _check_ids(ids or [])
    filters = bool(source or reason or before)
    if ids and (filters or everything):
        raise Misused("name letters by id, or choose them by --source, --reason, --before or --all")
    if not ids and not filters and not everything:
        raise Misused("say which: ids, or --source, --reason, --before, or --all")
    return _chosen(source, reason, before)


def _check_ids(ids: list[int]) -> None:
    """Refuse what no letter has before anything is done: in the midst of many it would keep the rest from its turn."""
    if wrong := [id for id in ids if not 1 <= id <= _ID_MAX]:
        raise Misused(f"{wrong[0]} is no id: `atp dlq list` shows those there are")


def _chosen(source: str, reason: str, before: str) -> "Chosen":
    from atp.deadletters import Chosen

    if any(c in ".*>" or c.isspace() for c in source):
        raise Misused(f"{source!r} is no source: in a subject it has no dot, star, > or space")
    if not before:
        return Chosen(source, reason)
    try:
        at = datetime.fromisoformat(before)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Misused(f"--before {before!r} is no time such as 2026-11-21T10:00:00Z")
    return Chosen(source, reason, int(at.timestamp() * 1000))


# -- doing it ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _desk(config: settings.Config) -> AsyncIterator["Desk"]:
    """The desk on NATS. Raises Refused when the server does not answer within seconds."""
    from atp.deadletters import Desk, LettersUnavailable
    from atp.wiring import Stopped, open_nats

    config = msgspec.structs.replace(config, nats_url=find_nats(config))
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(_CONNECT_S, stop.set)
    try:
        async with open_nats(config, "dlq", stop) as nats:
            yield Desk(nats)
    except Stopped:
        raise Refused(f"NATS at {settings.mask(config.nats_url)} does not answer") from None
    except LettersUnavailable as error:
        raise Refused(str(error)) from None


async def _list(config: settings.Config, chosen: "Chosen", after: int, limit: int, as_json: bool) -> None:
    from atp.deadletters import view

    async with _desk(config) as desk:
        page = await desk.page(chosen, after, limit)
        while len(page.letters) < limit and page.after is not None:
            more = await desk.page(chosen, page.after, limit - len(page.letters))
            page.letters += more.letters
            page.after = more.after
    if as_json:
        shown = {"dead_letters": [view(letter) for letter in page.letters], "after": page.after}
        print(msgspec.json.encode(shown).decode())
        return
    _print_table(page.letters)
    if page.after is not None:
        note(f"There may be more: atp dlq list --after {page.after}")


def _print_table(letters: list["Letter"]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from atp.deadletters import view

    if not letters:
        print("No dead letters.")
        return
    noun = "dead letter" if len(letters) == 1 else "dead letters"
    table = Table(title=f"{len(letters):,} {noun}", title_justify="left")
    for name in ("id", "since", "source", "reason", "detail"):
        justify = "right" if name == "id" else "left"
        table.add_column(name, justify=justify, no_wrap=name in ("id", "since"), overflow="fold")
    for letter in map(view, letters):
        cells = (letter.id, shown_time(letter.dead_at), letter.source, letter.reason, letter.detail)
        table.add_row(*map(escape, cells))
    Console().print(table)


async def _show(config: settings.Config, id: int, as_json: bool) -> None:
    from atp.deadletters import LetterMissing, whole_view

    async with _desk(config) as desk:
        try:
            letter = whole_view(await desk.get(id))
        except LetterMissing as error:
            raise Refused(str(error)) from None
    if as_json:
        print(msgspec.json.encode(letter).decode())
        return
    for name, value in msgspec.to_builtins(letter).items():
        if name == "headers":
            for header, text in value.items():
                print(f"header        {header}: {printable(text)}")
        elif name.startswith("payload"):
            print(f"{name}:\n{printable(str(value))}")
        else:
            print(f"{name:<15} {printable(str(value))}")


async def _many(config: settings.Config, what: str, ids: list[int], chosen: "Chosen", as_json: bool) -> int:
    async with _desk(config) as desk:
        if ids:
            done = await _by_id(desk.replay if what == "replayed" else desk.discard, ids)
        else:
            act = desk.replay_all if what == "replayed" else desk.discard_all
            with _bar(what) as progress:
                done = await act(chosen, progress=progress)
    if as_json:
        print(msgspec.json.encode({what: done.count, "failed": done.failures}).decode())
    else:
        print(f"{what} {done.count:,}")
    for failure in done.failures[:_FAILURES_SHOWN]:
        note(f"{failure.id} stays: {failure.detail}")
    if len(done.failures) > _FAILURES_SHOWN:
        note(f"and {len(done.failures) - _FAILURES_SHOWN:,} more stay")
    return FAILED if done.failures else 0


async def _by_id(act: Callable[[int], Awaitable[None]], ids: list[int]) -> "Done":
    from atp.deadletters import Done, Failure, LetterMissing, NotReplayable

    done = Done()
    for id in ids:
        try:
            await act(id)
            done.count += 1
        except (LetterMissing, NotReplayable) as error:
            done.failures.append(Failure(id, str(error)))
    return done


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal; elsewhere there is nobody to watch it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=None)
        yield lambda looked_at, of: progress.update(task, completed=looked_at, total=of)
