"""RateLimit and RateLimit-Policy as the IETF drafts them (draft-ietf-httpapi-ratelimit-headers), here and nowhere else.

A policy allows ``q`` requests in ``w`` seconds: a burst, in the time in which it comes in again. ``r`` is what is left
of this process's share, ``t`` the seconds until there is all of it again.
"""

import math

from atp.domain.keys import Quota

#: The most that such a header's number can be (RFC 9651 §3.3.1).
_SECONDS_MAX = 999_999_999_999_999


def seconds_for(tokens: float, rate: float) -> float:
    """Until so many come in at ``rate`` a second, be it ever so low."""
    return tokens / rate if tokens < _SECONDS_MAX * rate else _SECONDS_MAX


def policy_header(name: str, quota: Quota) -> str:
    """What the client may ask for."""
    return f'"{name}";q={int(quota.size)};w={max(1, math.ceil(seconds_for(quota.size, quota.rate)))}'


def left_header(name: str, left: float, full_in_s: float) -> str:
    """What is left of it."""
    return f'"{name}";r={max(0, int(left))};t={max(0, math.ceil(full_in_s))}'
