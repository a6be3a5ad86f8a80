"""Marketplaces poll: what changed since last time, and the numbers of hundreds of skus."""

import contextlib

from locust import task
from msgspec import json

from loadtests.people.person import Person, Unsettled

_PAGE, _WAIT_S = 500, 2
_SKUS = (100, 500)


class Marketplace(Person):
    """Follows the feed from where it stood when it began."""

    weight = 1

    def on_start(self) -> None:
        super().on_start()
        self._cursor = ""

    @task(3)
    def follow(self) -> None:
        """One page, or the word that there is none yet."""
        after = f"&after={self._cursor}&wait={_WAIT_S}" if self._cursor else ""
        try:
            answer = self.ask("changes", "GET", f"/v1/availability/changes?limit={_PAGE}{after}")
        except Unsettled:
            return
        self._cursor = json.decode(answer.body)["cursor"] if answer.status == 200 else ""

    @task(1)
    def look(self) -> None:
        """Numbers of a part of the range."""
        skus = [item.sku for item in self.floor.retailer.items]
        some = self.rng.sample(skus, min(len(skus), self.rng.randint(*_SKUS)))
        with contextlib.suppress(Unsettled):
            self.ask("query", "POST", "/v1/availability/query", json.encode({"skus": some}))
