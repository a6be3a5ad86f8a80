"""What home says of a basket, as the partition of one of its legs takes it: no unit is sold twice over it (R3, R8).

Two ledgers of one law: home has the record and no positions of the skus that start with "far", the other one has those
and a leg.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from atp.domain.commands import FollowHome
from tests.scenarios.table import Table, id_of


@contextmanager
def held_basket(table: Table) -> Iterator[Table]:
    """A basket of order X, 4 of A at home and 3 of far elsewhere; gives the other partition."""
    with table.law.beside() as law:
        there = Table(law).run('location DC1 {"kind":"warehouse"}\nlevel far@DC1 9 v1 at 0')
        table.run("level A@DC1 9 v1\nopen r1 A:4 far:3\ntake r1 A:4")
        there.run(f"take r1 far:3 attempt {table.attempts[id_of('r1')]}")
        table.run("decide r1 A:4@DC1 far:3@DC1\nconfirm r1 order X")
        follow(table, there)
        there.run("= far@DC1 6 0 3")
        yield there


def follow(home: Table, there: Table) -> None:
    """Let the leg hear what home's record says."""
    record = home.law.dump()["reservations"]["r1"]
    lines = [line for line in record["lines"] if line.sku == "far"]
    there.do(FollowHome(record["id"], record["seq"], lines), [])
    home.run("followed r1")


def test_units_of_a_leg_that_a_call_ships_stay_subtracted_until_a_level_shows_them(table: Table) -> None:
    with held_basket(table) as there:
        table.run("fulfil r1 2:2")
        follow(table, there)
        there.run("= far@DC1 6 0 1")
        table.run("fulfil r1")
        follow(table, there)
        there.run("= far@DC1 6 0 0\nlevel far@DC1 9 v2 at 30\n= far@DC1 6 0 0")
        there.run("level far@DC1 6 v3 at 200\n= far@DC1 6 0 0")


def test_so_do_those_that_a_source_ships_without_naming_a_place(table: Table) -> None:
    with held_basket(table) as there:
        table.run("fulfilled X far:2 v2 e2")
        follow(table, there)
        there.run("= far@DC1 6 0 1\nlevel far@DC1 7 v3 at 200\n= far@DC1 6 0 1")


def test_those_that_left_a_named_place_are_told_to_its_own_partition(table: Table) -> None:
    with held_basket(table) as there:
        there.run("fulfilled X far:2@DC1 v2 e2 part stock")
        table.run("fulfilled X far:2@DC1 v2 e2 part order")
        there.run("= far@DC1 4 0 3")
        follow(table, there)
        there.run("= far@DC1 6 0 1\nlevel far@DC1 7 v3 at 200\n= far@DC1 6 0 1")
