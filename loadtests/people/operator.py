"""An operator answers complaints: looks for reservations, at exceptions, and why a number is what it is."""

from locust import task
from msgspec import json

from loadtests.people.person import Person, Unsettled


class Operator(Person):
    """One person at a desk."""

    fixed_count = 1

    @task(2)
    def search(self) -> None:
        """Who has this sku, and the history of one of them."""
        sku = self.rng.choice(self.floor.retailer.hot).sku
        found = self._ask("reservations of a sku", f"/v1/reservations?sku={sku}&state=held")
        if found and found["reservations"]:
            self._ask("history", f"/v1/reservations/{found['reservations'][0]['id']}/history")

    @task(1)
    def exceptions(self) -> None:
        """What wants a person."""
        self._ask("exceptions", "/v1/exceptions")

    @task(2)
    def explain(self) -> None:
        """Why there is so much, or so little."""
        sku = self.rng.choice(self.floor.retailer.on_sale).sku
        self._ask("explain", f"/v1/availability/{sku}?explain=true")

    def _ask(self, what: str, path: str) -> dict | None:
        try:
            answer = self.ask(what, "GET", path, admin=True)
        except Unsettled:
            return None
        return json.decode(answer.body) if answer.status == 200 else None
