"""atp: available-to-promise and reservations for retail.

Rooms in rows; a row imports only rows below it, and rooms in one row do not know each other::

    who drives     api  |  ingest  |  outbox            (cli, demo, dev and wiring above them)
                   ------------------------------
    what is kept         ledger  |  journal
                   ------------------------------
    the words                 domain

The flow, and there is only one: HTTP (``api``) or NATS (``ingest``) makes a command (``domain``), the batcher and
the Lua library (``ledger``) apply it and append entries to the outbox, and ``outbox`` copies those to PostgreSQL
(``journal``) and publishes them on NATS.
"""

__version__ = "0.1.0"
