"""Secrets that are planted, used rightly and wrongly, and looked for in everything a service writes and shows."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from atp.dev.ports import free_port
from tests.rooms.api.conftest import Api, served
from tests.rooms.api.issuer import OTHER, Issuer, issuing, token
from tests.support import wait_until_async

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[4]
WEBHOOK, CUSTOMER = "canary-of-the-webhook", "canary-of-customers-" + "x" * 32


def environment(valkey: str, nats: str, migrated: str, namespace: str, issuer: Issuer) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    settings = issuer.settings()
    return kept | {
        "ATP_REDIS_URL": valkey, "ATP_NATS_URL": nats, "ATP_DATABASE_URL": migrated, "ATP_NAMESPACE": namespace,
        "ATP_LOG_LEVEL": "debug", "ATP_LOG_FORMAT": "json", "ATP_WEBHOOK_SECRET_SHOPIFY": WEBHOOK,
        "ATP_CUSTOMER_KEY": CUSTOMER, "ATP_JWT_ISSUER": settings.issuer, "ATP_JWT_AUDIENCE": settings.audience,
        "ATP_JWKS_URL": settings.jwks_url,
    }  # fmt: skip


def secrets_of(*urls: str) -> list[str]:
    parts = [urlsplit(url) for url in urls]
    return [text for part in parts if (text := part.password or (part.username if part.scheme == "nats" else ""))]


@contextmanager
def serving(port: int, settings: dict[str, str], log: Path) -> Iterator[None]:
    """``atp serve`` until the block ends, with all it writes in ``log``."""
    argv = [sys.executable, "-m", "atp", "serve", "--port", str(port)]
    with log.open("wb") as out, subprocess.Popen(argv, cwd=ROOT, env=settings, stdout=out, stderr=out) as process:
        try:
            yield
            process.terminate()
            process.wait(20)
        finally:
            process.kill()


def ran(argv: list[str], settings: dict[str, str]) -> tuple[int, str]:
    """Exit code and all that a command printed."""
    argv = [sys.executable, "-m", "atp", *argv]
    ended = subprocess.run(argv, cwd=ROOT, env=settings, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stdout + ended.stderr


async def use(port: int, api: Api, tokens: list[str]) -> None:
    """Requests that succeed, that are refused, and that break, all with secrets in them."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:

        async def ready() -> bool:
            try:
                return (await http.get("/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await wait_until_async(ready, 30, "the service is ready")
        for secret in (api.key, api.admin, api.key[:-1] + "_", *tokens):
            headers = {"authorization": f"Bearer {secret}", "idempotency-key": "k", "content-type": "application/json"}
            for method, path, body in (
                ("GET", "/v1/availability/A", b""), ("GET", "/v1/locations", b""), ("POST", "/v1/reservations", b"{"),
                ("POST", "/v1/reservations", b'{"lines":[{"sku":"A","quantity":1}],"customer":"canary-customer"}'),
                ("GET", f"/v1/nothing?key={secret}", b""), ("POST", "/v1/checks", b"{}"), ("GET", "/v1/clients", b""),
            ):  # fmt: skip
                answer = await http.request(method, path, headers=headers, content=body)
                assert secret not in answer.text
        made = await http.post("/v1/clients/shop/keys", headers={"authorization": f"Bearer {api.admin}"})
        tokens.append(made.json()["key"])
        signature = {"x-shopify-hmac-sha256": WEBHOOK, "content-type": "application/json"}
        await http.post("/v1/stock/raw/shopify/shop", headers=signature, content=b"{}")
        assert (await http.get("/schema/openapi.json")).status_code == 404  # docs are off unless asked for
        assert (await http.get("/docs")).status_code == 404
        metrics = (await http.get("/metrics")).text
        assert not [secret for secret in (api.key, api.admin, *tokens, "canary") if secret in metrics]


async def test_no_secret_is_written_or_shown(
    valkey: str, nats: str, migrated: str, namespace: str, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    async with issuing() as issuer, served(valkey, namespace) as api:
        settings = environment(valkey, nats, migrated, namespace, issuer)
        tokens = [token(), token(key=OTHER), token("rsa", exp=1), "a.b.c"]
        await api.stock("A", 5)
        with serving(port, settings, log):
            await use(port, api, tokens)
        canaries = [*secrets_of(valkey, nats, migrated), WEBHOOK, CUSTOMER, api.key, api.admin, *tokens[:3], tokens[-1]]
        assert len(secrets_of(valkey, nats, migrated)) == 3
        written = log.read_text()
        assert written
        assert [secret for secret in canaries if secret in written] == []
        assert "canary-customer" not in written
        for argv in (["config", "show"], ["keys", "list", "--json"]):
            _, shown = ran(argv, settings)
            assert shown
            assert [secret for secret in canaries if secret in shown] == []


async def test_a_start_that_fails_tells_no_secret(valkey: str, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATP_")}
    wrong = {
        "ATP_REDIS_URL": f"redis://:canary-1@127.0.0.1:{urlsplit(valkey).port}/0",
        "ATP_DATABASE_URL": "postgres://atp:canary-2@127.0.0.1:1/atp", "ATP_NATS_URL": "nats://canary-3@127.0.0.1:1",
        "ATP_CUSTOMER_KEY": "canary-4" * 8, "ATP_API_KEY": "canary-5",
    }  # fmt: skip
    code, shown = ran(["serve"], kept | wrong)
    assert code != 0
    assert "canary" not in shown
