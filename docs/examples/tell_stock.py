"""Tell a location's stock as a source system does: one CloudEvent on NATS.

python docs/examples/tell_stock.py SKU LOCATION QUANTITY [SOURCE], in the folder where `atp dev` runs
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import nats


async def main(url: str, sku: str, location: str, quantity: int, source: str = "wms") -> None:
    connection = await nats.connect(url)
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(uuid4()),
        "ce-source": source,
        "ce-type": "atp.stock.level.v1",
        "ce-time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ce-sequence": str(time.time_ns() // 1000),  # must grow: an older level never replaces a newer one
    }
    data = {"lines": [{"sku": sku, "location": location, "quantity": quantity}]}
    await connection.jetstream().publish(f"stock.v1.{source}", json.dumps(data).encode(), headers=headers)
    await connection.close()
    print(f"{source} says: {quantity} of {sku} at {location}")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5) or not Path(".atp/endpoints.json").exists():
        raise SystemExit(__doc__)
    endpoints = json.loads(Path(".atp/endpoints.json").read_text())
    asyncio.run(main(endpoints["nats"], sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
