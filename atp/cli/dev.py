"""``atp dev``: everything on this machine."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from atp import config as settings
from atp.cli.errors import explain
from atp.cli.output import note

if TYPE_CHECKING:
    from atp.dev.stack import DevStack
    from atp.dev.state import Endpoints


Port = Annotated[int, Parameter(validator=Number(gte=0, lte=65_535))]
Workers = Annotated[int, Parameter(validator=Number(gte=1, lte=64))]


def dev(
    *, state_dir: Path = Path(".atp"), port: Port = 0, workers: Workers = 1, p0_port: Port = 0, fresh: bool = False
) -> int:
    """Run the whole service here: API, ingestion, journal, and embedded Valkey, NATS and PostgreSQL.

    Where ATP_REDIS_URL, ATP_NATS_URL or ATP_DATABASE_URL is set, that server is used instead of an embedded one.
    Ctrl-C ends everything; the next run goes on from the same state.

    Example: atp dev --port 8000 --workers 2

    Parameters
    ----------
    state_dir
        Where data, logs, keys and endpoints.json are kept.
    port
        Port of the API: by default the one it had before, or 8000. A free one is chosen when it is taken.
    workers
        API processes that share the port.
    p0_port
        Port of one more process, for confirm, release and other P0 routes only; 0 for none.
    fresh
        Begin anew: remove all data and keys of this state directory first.
    """
    from atp.dev.stack import DevStack

    config = settings.load()
    stack = DevStack(state_dir, port, workers, p0_port=p0_port, fresh=fresh, config=config, say=note)
    # Plain asyncio: the supervisor needs options of subprocess that uvloop does not have.
    return asyncio.run(_run(stack, state_dir))


async def _run(stack: "DevStack", state_dir: Path) -> int:
    running = asyncio.create_task(_until_cancelled(stack, state_dir))
    signals = 0

    def on_signal() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            note("Stopping. Once more ends everything at once.")
            running.cancel()
        else:
            stack.kill()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        await running
    except asyncio.CancelledError:
        return 0
    except Exception as error:
        code = explain(error)
        if code is None:
            raise
        return code
    return 0


async def _until_cancelled(stack: "DevStack", state_dir: Path) -> None:
    async with stack as endpoints:
        print(_summary(endpoints, state_dir), flush=True)
        await asyncio.Event().wait()


def _summary(endpoints: "Endpoints", state_dir: Path) -> str:
    file = state_dir / "endpoints.json"
    return f"""
  atp is ready.

    API    {endpoints.api}
    Docs   {endpoints.api}/docs
    Logs   {state_dir / "log"}/
    Keys and addresses of everything: {file}

  Try it:

    curl -s -H "Authorization: Bearer {endpoints.api_key}" {endpoints.api}/v1/availability/TSHIRT-M

  Ctrl-C stops; the next run continues from the same state.
"""
