"""Records: one partition's state as it is stored, and back (R20, R35).

``encode`` makes pages of a state: each is part of one key, small enough for one command and for one row of a baseline.
``decode`` takes pages in any order and makes the state again, whether they were encoded, kept, or read from a live
server (``read``). What the library derives and checks by itself (sums of free units, places known to be empty) is
written void, and it counts them anew when it needs them.

What is no state has no page: sessions, the outbox, leases (``keys.TABLE`` names them).
"""

from atp.ledger.records.decoding import RecordsCorrupt, decode
from atp.ledger.records.encoding import encode
from atp.ledger.records.lazily import LazyDecoding
from atp.ledger.records.page import Page, command
from atp.ledger.records.reading import read

__all__ = ["LazyDecoding", "Page", "RecordsCorrupt", "command", "decode", "encode", "read"]
