"""Access: who calls, what they may do, and how much of it (R31, R34).

``identity`` knows the keys of clients and, through ``tokens`` and ``jwks``, the tokens of another issuer; what it gives
is a ``principal``. ``quotas`` counts what a principal asks for, and ``ratelimit`` says so in headers.
"""
