"""What a round finds: stock, reservations to change, ETags."""

import asyncio
from uuid import uuid4

import httpx
import nats

from atp.dev.state import Endpoints
from atp.ingest import Feed, Settings
from atp.ingest.feed import level

#: Units of every sku: more than a run can sell.
UNITS = 100_000_000


async def stock(endpoints: Endpoints, skus: int) -> None:
    """One location, and every sku in it."""
    headers = {"Authorization": f"Bearer {endpoints.admin_key}"}
    async with httpx.AsyncClient(base_url=endpoints.api, headers=headers) as client:
        (await client.put("/v1/locations/DC1", json={"kind": "warehouse"})).raise_for_status()
        connection = await nats.connect(endpoints.nats)
        lines = [(f"SKU-{n}", "DC1", UNITS) for n in range(skus)]
        chunks = [lines[start : start + 1_000] for start in range(0, skus, 1_000)]
        await Feed(connection, Settings()).publish([level("wms", f"seed-{n}", c, n + 1) for n, c in enumerate(chunks)])
        await connection.close()
        for _ in range(600):
            answer = (await client.get(f"/v1/availability/SKU-{skus - 1}")).json()
            if answer["ats"]:
                return
            await asyncio.sleep(0.1)
    raise SystemExit("the seeded stock never arrived")


async def reservations(endpoints: Endpoints, skus: int, count: int) -> list[str]:
    """The ids of as many held ones."""
    ids: list[str] = []
    async with httpx.AsyncClient(base_url=endpoints.api, timeout=30) as client:
        for start in range(0, count, 100):
            wanted = [
                {"lines": [{"sku": f"SKU-{n % skus}", "quantity": 1}], "ttl_seconds": 3_600}
                for n in range(start, start + 100)
            ]
            headers = {"Authorization": f"Bearer {endpoints.api_key}", "Idempotency-Key": uuid4().hex}
            answer = await client.post("/v1/reservations/batch", json={"reservations": wanted}, headers=headers)
            answer.raise_for_status()
            ids += [result["reservation"]["id"] for result in answer.json()["results"]]
    return ids


async def etags(endpoints: Endpoints, skus: int) -> list[str]:
    """Of every sku; nothing may sell while they are used."""
    headers = {"Authorization": f"Bearer {endpoints.api_key}"}
    async with httpx.AsyncClient(base_url=endpoints.api, headers=headers) as client:
        return [(await client.get(f"/v1/availability/SKU-{n}")).headers["etag"] for n in range(skus)]
