"""What must hold after any fault, as pure functions of what callers know and what the service kept.

C1 to C8 are numbered as in DESIGN §1's tests: conservation (C1) and balances (C2) in ``conservation``, each operation
exactly once (C3) in ``setfull``, the order of each scarce sku (C4) in ``linear``; repeats (C5) and foreign answers
(C8) are noted by the buyers themselves, liveness (C6) by ``recovery``, rebuilt = live (C7) in ``rebuilt``.
"""
