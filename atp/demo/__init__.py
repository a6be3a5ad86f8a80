"""A promotion at a made-up retailer, over the public interfaces only, that proves the promises it shows.

Feeders send stock events over NATS, buyers shop over HTTP, and each of them keeps its own books. When the sale is over
the service's numbers are compared with those books, position by position and reservation by reservation: whatever the
service says of itself counts for nothing. It runs green also while processes are killed.

``run`` is the whole; ``retailer`` what is sold, ``feeders`` and ``buyers`` who acts, ``books`` what they know,
``closing`` the wait for quiet, ``checks`` the comparison, ``view`` and ``report`` what people see.
"""
