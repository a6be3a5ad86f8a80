"""PostgreSQL, as an ORM does it: SELECT … FOR UPDATE, a look in the application, an UPDATE and an INSERT."""

from _postgres import PostgresPeer, serve
from asyncpg import Connection

NAME = "PostgreSQL SELECT FOR UPDATE"


async def reserve(connection: Connection, sku: str, quantity: int) -> int | None:
    """The id of a new reservation; None when too little is free."""
    async with connection.transaction():
        free = await connection.fetchval("select free from stock where sku = $1 for update", sku)
        if free is None or free < quantity:
            return None
        await connection.execute("update stock set free = $2 where sku = $1", sku, free - quantity)
        return await connection.fetchval(
            "insert into reservation (sku, quantity) values ($1, $2) returning id", sku, quantity
        )


def start(stack):
    return PostgresPeer.start(stack, __file__)


if __name__ == "__main__":
    serve(reserve)
