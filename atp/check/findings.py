"""Findings: what differs, with the evidence."""

from typing import Literal

from msgspec import Struct

from atp.check.counters import Key

#: What a finding is about: a counter, a reservation's deadline, its place in an order, its record, a position's balance
#: or a source's number as the journal has them, or a policy object.
What = str

#: Sku, location, source and reservation of an exception.
Subject = tuple[str, str, str, str]

#: What the other number comes from.
Basis = Literal["records", "journal", "source"]


class Finding(Struct, omit_defaults=True):
    """One difference. ``found`` is what the ledger has, ``expected`` what it is compared with, both as of ``seq``."""

    what: What
    basis: Basis
    partition: int
    seq: int
    found: str
    expected: str
    sku: str = ""
    location: str = ""
    source: str = ""
    reservation: str = ""
    name: str = ""  # of a day, a seller, a customer, an order, a policy object
    by: int = 0  # what a counter has to change by
    value: int = 0  # what the correction goes with
    raised: int = 0  # seq of the exception that tells of it
    repaired: bool = False

    @property
    def subject(self) -> Subject:
        """What its exception is about."""
        return self.sku, self.location, self.source, self.reservation

    @property
    def key(self) -> Key:
        """The counter that it is about, if it is about one."""
        return Key(self.what, self.sku, self.location, self.name)  # pyright: ignore[reportArgumentType]

    @property
    def evidence(self) -> str:
        """One line for people."""
        named = f" {self.name.replace(chr(31), ' ').strip()}" if self.name else ""
        said = {"records": "its records say", "journal": "the journal says", "source": "the source's word is"}
        found, expected = self.found or "nothing", self.expected or "nothing"
        return f"{self.what}{named} is {found}, {said[self.basis]} {expected}, as of {self.partition}:{self.seq}"


def of_counter(key: Key, partition: int, seq: int, found: int, expected: int, value: int = 0) -> Finding:
    """A counter that its records do not add up to."""
    return Finding(
        key.counter, "records", partition, seq, str(found), str(expected), key.sku, key.location, name=key.name,
        by=expected - found, value=value,
    )  # fmt: skip
