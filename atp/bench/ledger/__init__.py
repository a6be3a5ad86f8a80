"""What the ledger's library costs its server, beside a plain INCR on the same server in the same run (DESIGN §9).

One connection calls the library with batches that were encoded before the clock starts. Three times per command, since
each hides something: `script` is what the server itself counts for the call (commandstats: without reading the
request, the append-only file and its fsync), `cpu` is what its main thread used for everything, `wall` is what the
caller waited, fsync included.

Then the same reserve at two sizes of the ledger, in turn, with the bytes a position and an open reservation take
(R29); and the script's time of the largest batch that the service sends.
"""
