"""Bots take what is wanted most, hold it for nobody, and ask again at once when they are refused."""

import gevent
from locust import task

from loadtests.people.person import Unsettled
from loadtests.people.shopper import Buying

_TTL_S = 3
_HOARD = 10  # units in one reservation, many of the same sku
_TRIES = 4  # after a refusal, one after the other
_KEEPS_S = 1.0


class Bot(Buying):
    """Never pays."""

    weight = 3
    hurry = 5

    @task
    def hoard(self) -> None:
        item = self.rng.choice(self.floor.retailer.hot)
        units = self.rng.randint(2, _HOARD)
        try:
            for _ in range(_TRIES):
                sale, left = self.reserve([(item, units, "")], _TTL_S)
                if sale:
                    self.leave(sale)
                    gevent.sleep(_KEEPS_S)
                    return
                units = left[0][1] if left else 1
        except Unsettled:
            pass  # it is in the books
