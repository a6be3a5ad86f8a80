"""``atp demo`` whose servers run with the broken ledger of ``sitecustomize``; the demo itself is untouched."""

import sys
from os import pathsep
from pathlib import Path

import msgspec

from atp.cli.app import run
from atp.dev.own import Own
from atp.dev.process import Launch

_launch = Own.launch


def _launch_broken(self: Own) -> Launch:
    launch = _launch(self)
    path = f"{Path(__file__).parent}{pathsep}{launch.env['PYTHONPATH']}"
    return msgspec.structs.replace(launch, env={**launch.env, "PYTHONPATH": path})


Own.launch = _launch_broken  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(run(["demo", *sys.argv[1:]]))
