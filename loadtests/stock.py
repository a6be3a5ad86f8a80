"""Stock for measures of developers: one location, skus called SKU-0, SKU-1, …"""

from atp.bench import shapes
from atp.dev.state import Endpoints


async def stock(endpoints: Endpoints, skus: int) -> None:
    """More units of each than a run can sell."""
    await shapes.stock(endpoints, [shapes.Shape("sku", tuple(f"SKU-{n}" for n in range(skus)), ("DC1",))])
