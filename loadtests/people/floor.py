"""The shop floor: what all people of one run share, in locust's process."""

import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import msgspec

from atp.demo.books import Books
from atp.demo.clerk import Clerk
from atp.demo.retailer import Retailer
from atp.demo.tally import Tally
from atp.dev.state import Endpoints
from loadtests.people.told import Bought, Proof

ROOT = Path(__file__).parents[2]


class OfficeClosed(Exception):
    """The back office ended before it said what it should; its last words are on standard error."""


class Floor:
    """Opens with the office's word, and closes with its proof."""

    def __init__(self, options: Namespace) -> None:
        self.options = options
        self.endpoints = msgspec.json.decode(Path(options.endpoints).read_bytes(), type=Endpoints)
        self.books = Books()
        self.tally = Tally()
        self.clerk = Clerk(self.books, self.tally)
        self.people = 0
        tag = f"p{time.time_ns() // 1_000_000:x}"
        given = {"skus": options.skus, "units": options.units, "seed": options.seed, "tag": tag}
        command = [sys.executable, "-m", "loadtests.people.office", options.endpoints]
        command += [text for name, value in given.items() for text in (f"--{name}", str(value))]
        self._office = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.retailer = msgspec.json.decode(self._hear(), type=Retailer)
        except BaseException:
            self._office.kill()
            self._office.wait()
            raise
        self.opened = time.monotonic()

    def number(self) -> int:
        """Of one more person."""
        self.people += 1
        return self.people

    def close(self) -> Proof:
        """Hand over what was bought. Raises OfficeClosed."""
        office = self._office
        assert office.stdin
        try:
            office.stdin.write(msgspec.json.encode(Bought(self.books, self.tally.done["replayed"])) + b"\n")
            office.stdin.flush()
            return msgspec.json.decode(self._hear(), type=Proof)
        except BrokenPipeError as error:
            raise OfficeClosed from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """End the office, whatever it does."""
        self._office.kill()
        self._office.wait()

    def _hear(self) -> bytes:
        assert self._office.stdout
        if not (line := self._office.stdout.readline()):
            raise OfficeClosed
        return line


#: The floor of the run under way, one at a time in a process of locust.
_now: list[Floor] = []


def enter(floor: Floor | None) -> None:
    """Make it the one of the run; None: the run is over."""
    _now[:] = [floor] if floor else []


def now() -> Floor:
    """That of the run under way."""
    return _now[0]


def is_open() -> bool:
    """Whether a run is under way."""
    return bool(_now)
