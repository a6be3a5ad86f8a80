"""What is for sale: few skus that many want. Nothing but the feeders raises a number, and nothing lowers one."""

from msgspec import Struct, json

from atp.demo.http import Client

#: Scarce skus, fed by deltas alone: what became of every unit follows from the history, so order can be judged (C4).
SCARCE = tuple(f"SCARCE-{number}" for number in range(6))
#: Plain skus, also counted anew by levels.
PLAIN = tuple(f"PLAIN-{number}" for number in range(12))

PLACES = {"till": ("east", "west"), "count": ("depot",)}  # source → the locations whose authority it is
OPENING = {"till": 40, "count": 4_000}  # units per position
CLIENT = "dev"  # whose key the buyers use: reservation ids are made of it


class Position(Struct, frozen=True):
    """One sku at one location, and who counts it."""

    sku: str
    location: str
    source: str


POSITIONS = [
    *(Position(sku, at, "till") for sku in SCARCE for at in PLACES["till"]),
    *(Position(sku, at, "count") for sku in PLAIN for at in PLACES["count"]),
]


async def put_policies(url: str, admin_key: str) -> None:
    """Sources and locations, as an administrator would put them."""
    client = Client(url, admin_key)
    for source, places in PLACES.items():
        await _put(client, f"/v1/sources/{source}", {"kind": "wms", "version": "sequence"})
        for at in places:
            body = {"kind": "warehouse", "sources": [{"source": source, "role": "authority"}]}
            await _put(client, f"/v1/locations/{at}", body)
    client.close()


async def _put(client: Client, path: str, body: dict[str, object]) -> None:
    answer = await client.ask("PUT", path, json.encode(body))
    assert answer.status == 200, answer
