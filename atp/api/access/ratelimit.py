"""RateLimit and RateLimit-Policy as the IETF drafts them (draft-ietf-httpapi-ratelimit-headers), here and nowhere else.

A policy allows ``q`` requests in ``w`` seconds: a burst, in the time in which it comes in again. ``r`` is what is left
of this process's share, ``t`` the seconds until there is all of it again.
"""

import math

from atp.domain.keys import Quota


def policy_header(name: str, quota: Quota) -> str:
    """What the client may ask for."""
    return f'"{name}";q={int(quota.size)};w={max(1, math.ceil(quota.size / quota.rate))}'


def left_header(name: str, left: float, full_in_s: float) -> str:
    """What is left of it."""
    return f'"{name}";r={max(0, int(left))};t={max(0, math.ceil(full_in_s))}'
