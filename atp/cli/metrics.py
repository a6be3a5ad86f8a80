"""Metrics over HTTP for the processes that have no API of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

from atp.cli.errors import Refused
from atp.config import Config


@contextmanager
def metrics_served(config: Config) -> Iterator[None]:
    """Serve ``/metrics`` from a thread while the block runs, if a port is set. Raises Refused when it cannot be had."""
    if not config.metrics_port:
        yield
        return
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(config.metrics_port, config.metrics_host)
    except OSError as error:
        address = f"{config.metrics_host}:{config.metrics_port}"
        raise Refused(f"ATP_METRICS_PORT: {address} cannot be used ({error.strerror})") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
