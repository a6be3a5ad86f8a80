"""PostgreSQL, as most shops do it: a conditional UPDATE … RETURNING and an INSERT in one transaction."""

from _postgres import PostgresPeer, serve
from asyncpg import Connection

NAME = "PostgreSQL row lock"


async def reserve(connection: Connection, sku: str, quantity: int) -> int | None:
    """The id of a new reservation; None when too little is free."""
    async with connection.transaction():
        left = await connection.fetchval(
            "update stock set free = free - $2 where sku = $1 and free >= $2 returning free", sku, quantity
        )
        if left is None:
            return None
        return await connection.fetchval(
            "insert into reservation (sku, quantity) values ($1, $2) returning id", sku, quantity
        )


def start(stack):
    return PostgresPeer.start(stack, __file__)


if __name__ == "__main__":
    serve(reserve)
