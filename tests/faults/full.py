"""A ledger's server that holds a lot: open reservations and positions of a namespace nobody works in (R27).

What a server reads when it starts again is all that it holds, whoever owns it. One reservation is made by the law; the
others are its records under other names, so a million of them take a minute instead of an hour.
"""

from itertools import batched

from msgspec import structs

from atp.domain.commands import PutPolicy
from atp.domain.ids import identity_of, reservation_id
from atp.domain.records import Reservation
from atp.domain.state import State
from atp.ledger import Ledger, LedgerSettings, keys, records
from atp.ledger.connection import Connection, connect
from tests.rooms.ledger.made import level, reserve
from tests.support import wait_until_async

_NAMESPACE = "full"
_CHUNK = 20_000
_WRITE_S = 30.0
_REWRITE_S = 300.0


async def fill(url: str, holds: int) -> None:
    """So many skus with a position and an open reservation each, in a log that was rewritten since."""
    state = await _one(url)
    connection = await connect(url)
    prefix = keys.prefix(_NAMESPACE, 0)
    try:
        for numbers in batched(range(holds), _CHUNK):
            for page in records.encode(_alike(state, numbers)):
                if page.key in ("sku", "pos", "res", "due"):
                    await connection.ask(*records.command(prefix, page), timeout_s=_WRITE_S)
        assert await connection.ask("HLEN", f"{prefix}res") == holds + 1
        # The server may be at it by itself; what came meanwhile belongs into the next one.
        await wait_until_async(lambda: _rewritten(connection), _REWRITE_S, "the server's own rewrite")
        await connection.ask("BGREWRITEAOF")
        await wait_until_async(lambda: _rewritten(connection), _REWRITE_S, "the log is rewritten")
    finally:
        await connection.end()


async def _one(url: str) -> State:
    """A ledger with one reservation, as the law stores it."""
    ledger = Ledger(LedgerSettings(url, _NAMESPACE))
    await ledger.open({})
    try:
        await ledger.apply(
            [PutPolicy("location", "DC1", "{}"), level("A", 100), reserve("first", "A", ttl_ms=14_000_000)]
        )
    finally:
        await ledger.close()
    connection = await connect(url)
    try:
        return records.decode([page async for page in records.read(connection.ask, keys.prefix(_NAMESPACE, 0))])
    finally:
        await connection.end()


def _alike(state: State, numbers: tuple[int, ...]) -> State:
    (sku,), (made,), (due,) = state.skus.values(), state.reservations.values(), state.due.values()
    made_anew = [_renamed(made, number) for number in numbers]
    return State(
        skus={f"SKU-{number}": sku for number in numbers},
        reservations={identity_of(each.id): each for each in made_anew},
        due={each.id: due for each in made_anew},
    )


def _renamed(made: Reservation, number: int) -> Reservation:
    sku = f"SKU-{number}"
    id = reservation_id(made.client, f"hold-{number}", sku)
    return structs.replace(made, id=id, lines=[structs.replace(made.lines[0], sku=sku)])


async def _rewritten(connection: Connection) -> bool:
    told = await connection.ask("INFO", "persistence")
    return b"aof_rewrite_in_progress:0" in told and b"aof_rewrite_scheduled:0" in told
