"""How long does it take to tell an empty ledger a million positions, and what does it weigh?

    python -m loadtests.backfill [--positions 1000000] [--locations 12] [--json]

One full snapshot in parts of 1,000 lines waits in NATS; an ingest process of its own then takes it, and its sweeper
looks for what it does not name. Valkey and NATS are the script's own; what is journaled elsewhere is dropped at once.
Lines per second count from the process's start of reading to the ledger's cursor behind the last part.
"""
