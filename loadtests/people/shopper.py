"""Shoppers browse, reserve, pay, and confirm; some change their mind, and some just leave."""

import time

from locust import task
from msgspec import json

from atp.demo import documents
from atp.demo.books import Sale
from atp.demo.buyers import choose, reserve_body
from atp.demo.clerk import Wanted
from loadtests.people.person import Person, Unsettled

#: Holds of those who mean to buy outlive every pause of a run; holds of those who leave end while it goes on.
_TTL_S, _TTL_ABANDONED_S = 120, (2, 4)
_PLANS = {"confirm": 70, "release": 12, "abandon": 18}
_BROWSE, _REPEAT, _TRY_LESS = 0.6, 0.03, 0.4


class Buying(Person):
    """How to reserve and what follows, as all do who buy."""

    abstract = True

    def reserve(self, wanted: Wanted, ttl: int) -> tuple[Sale | None, Wanted]:
        """The sale, or None and what could be had instead."""
        body, key = reserve_body(wanted, f"demo-{self.name}", ttl), self.key()
        ends_after = time.monotonic() + ttl
        answer = self.ask("reserve", "POST", "/v1/reservations", body, key)
        if answer.status != 201:
            return None, self.floor.clerk.refused(answer, wanted, key)
        sale = self.floor.clerk.sold(answer, wanted, ends_after, key)
        if sale and self.rng.random() < _REPEAT:
            again = self.ask("reserve: repeat", "POST", "/v1/reservations", body, key)
            self.floor.tally.done["replayed"] += 1
            if again.status != 201 or documents.reservation(again.body).id != sale.id:
                self.floor.books.contradict(f"the repeat of {sale.id} was answered {again.status}")
        return sale, []

    def change(self, sale: Sale, action: str) -> None:
        """Confirm or release all of it."""
        body = {"order_ref": f"O-{self.name}-{self._keys}"} if action == "confirm" else {}
        answer = self.ask(action, "POST", f"/v1/reservations/{sale.id}/{action}", json.encode(body), self.key())
        self.floor.clerk.changed(sale, action, answer)

    def leave(self, sale: Sale) -> None:
        """Nobody says so: its time ends it."""
        sale.end("expired")
        self.floor.tally.done["abandoned"] += 1


class Shopper(Buying):
    """One visit after another."""

    weight = 20

    @task
    def visit(self) -> None:
        wanted = choose(self.floor.retailer, self.rng)
        plan = self.rng.choices(list(_PLANS), list(_PLANS.values()))[0]
        ttl = self.rng.randint(*_TTL_ABANDONED_S) if plan == "abandon" else _TTL_S
        try:
            if self.rng.random() < _BROWSE:
                self.ask("browse", "GET", f"/v1/availability/{wanted[0][0].sku}")
            sale, left = self.reserve(wanted, ttl)
            if sale is None and left and self.rng.random() < _TRY_LESS:
                sale, _ = self.reserve(left, ttl)
            if sale is None:
                return
            if plan == "abandon":
                self.leave(sale)
                return
            self.pay()
            self.change(sale, plan)
        except Unsettled:
            pass  # it is in the books
