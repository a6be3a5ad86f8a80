"""fastify and ioredis with auto-pipelining: what is called in one turn of the loop travels together.

The strongest peer that is easy to write. Its packages are installed into the run's own folder, by the lock beside it.
"""

import shutil
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

from _redis import SCRIPT, ValkeyPeer

from atp.bench.hosting import serving
from atp.bench.peers import Skipped

NAME = "fastify + ioredis, auto-pipelining"

_SOURCE = Path(__file__).with_name("fastify")
_PREFIX = "fastify"
_INSTALL_S = 120


@asynccontextmanager
async def start(stack):
    folder = stack.folder / "node"
    _install(folder)
    command = ["node", str(folder / "server.js"), str(SCRIPT), _PREFIX]
    with serving(command, stack.folder / "log", "fastify", {"VALKEY_URL": stack.valkey.url}) as (url, pid):
        yield ValkeyPeer(url, {"app": pid, "valkey": stack.valkey.pid}, stack.valkey.url, _PREFIX)


def _install(folder: Path) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        raise Skipped("Node.js and npm are not installed")
    shutil.copytree(_SOURCE, folder, ignore=shutil.ignore_patterns("node_modules"), dirs_exist_ok=True)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired:
        raise Skipped(f"npm ci was not done within {_INSTALL_S} s") from None
    if done.returncode:
        raise Skipped(f"npm ci failed: {done.stderr.strip().splitlines()[-1:]}")
