"""PostgreSQL at its best without batches: the conditional UPDATE and the INSERT are one statement, one round trip."""

from _postgres import PostgresPeer, serve
from asyncpg import Connection

NAME = "PostgreSQL one statement"

_RESERVE = """
with taken as (update stock set free = free - $2 where sku = $1 and free >= $2 returning sku)
insert into reservation (sku, quantity) select sku, $2 from taken returning id
"""


async def reserve(connection: Connection, sku: str, quantity: int) -> int | None:
    """The id of a new reservation; None when too little is free."""
    return await connection.fetchval(_RESERVE, sku, quantity)


def start(stack):
    return PostgresPeer.start(stack, __file__)


if __name__ == "__main__":
    serve(reserve)
