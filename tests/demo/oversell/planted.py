"""``python planted.py MODULE …``: a program whose servers run with the broken ledger of ``sitecustomize``.

The program itself is untouched, and so are the checks it makes.
"""

import runpy
import sys
from os import pathsep
from pathlib import Path

import msgspec

from atp.dev.own import Own
from atp.dev.process import Launch

_launch = Own.launch


def _launch_broken(self: Own) -> Launch:
    launch = _launch(self)
    path = f"{Path(__file__).parent}{pathsep}{launch.env['PYTHONPATH']}"
    return msgspec.structs.replace(launch, env={**launch.env, "PYTHONPATH": path})


Own.launch = _launch_broken  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
