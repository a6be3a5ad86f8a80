"""One command for a whole load test: an isolated service in a temporary folder, and locust beside it.

    python -m loadtests.people [--shape steady|spike|soak|thunder] [--seconds N] [--people N] [--web] [locust's]

Without ``--web`` it runs headless; the exit code is 1 when the proof at the end does not hold.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from atp.dev.ports import free_port
from atp.dev.process import Launch, spawn
from atp.dev.stack import DevStack
from atp.dev.state import StateDir

LOCUSTFILE = Path(__file__).parents[1] / "locustfile.py"


async def play(options: argparse.Namespace, more: list[str], folder: Path) -> int:
    """Locust's exit code. Raises DevError when the service cannot be started."""
    mode = [] if options.web else ["--headless", "--only-summary"]
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    # Settings around us name other servers, which are not to be played on.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    async with DevStack(folder, free_port(), say=lambda text: print(text, file=sys.stderr)) as endpoints:
        command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--host", endpoints.api]
        command += ["--endpoints", str(folder / "endpoints.json"), *mode, *more]
        locust = spawn(Launch(command, environment, str(LOCUSTFILE.parents[1])), sys.stdout.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, locust.send_signal, signal.SIGINT)  # it ends the sale, and proves it
        return await asyncio.to_thread(locust.wait)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--web", action="store_true", help="serve locust's page instead of starting at once")
    options, more = parser.parse_known_args()
    folder = Path(tempfile.mkdtemp(prefix="atp-people-"))
    try:
        return asyncio.run(play(options, more, folder))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    finally:
        StateDir(folder).empty()  # PostgreSQL's files may have had to live elsewhere
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
