"""Rates of one API process beside a bare ASGI echo and a standard Litestar handler, in one run (DESIGN §9).

    python -m loadtests.http [--seconds 5] [--rounds 3] [--connections 256] [--skus 1] [--of reserve,confirm,…] [--json]

Everything that belongs to a request is on: appendfsync always, authentication, idempotency, validation, metrics, and
ingest and drain keep up. Rounds alternate, so that a slow minute of the machine meets all. With each rate the CPU of
every process, µs a request. Needs wrk.
"""
