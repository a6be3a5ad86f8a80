"""What callers see of events about orders that sources told."""

import pytest

from atp.domain.commands import TellOrder
from atp.domain.ids import shipment_digest
from atp.domain.order_commands import OrderLine
from atp.domain.outcomes import Outcome

from .conftest import Api

pytestmark = pytest.mark.anyio


async def tell(api: Api, what: str, version: int, event: int, *lines: OrderLine, shipment: int = 0) -> Outcome:
    told = TellOrder(what, "", "wms", "X", "sequence", (0, version), "", 0, 0, event, list(lines), shipment, False)
    (result,) = await api.ledger.apply([told])
    return result.outcome


async def ordered(api: Api) -> str:
    await api.stock("A", 10, "DC1")
    id = (await api.reserve("A", 4)).json()["id"]
    await api.send("POST", f"/v1/reservations/{id}/confirm", json={"order_ref": "X"})
    return id


async def test_units_that_were_not_on_the_shelf_are_unsellable_and_explained(api: Api) -> None:
    id = await ordered(api)
    assert await tell(api, "cancelled", 9, 1, OrderLine("A", 3, "DC1", short=True)) is Outcome.APPLIED
    got = (await api.send("GET", "/v1/availability/A?explain=true")).json()
    (at,) = got["locations"]
    assert (got["ats"], at["on_hand"], at["unsellable"], at["committed"]) == (6, 10, 3, 1)
    (explained,) = got["explain"]["locations"]
    terms = {term["term"]: term["quantity"] for term in explained["terms"]}
    assert (terms["set_aside"], sum(terms.values())) == (-3, 6)
    (line,) = (await api.send("GET", f"/v1/reservations/{id}")).json()["lines"]
    assert (line["committed"], line["released"]) == (1, 3)


async def test_a_shipment_told_by_its_source_and_by_http_counts_once(api: Api) -> None:
    id = await ordered(api)
    parcel = shipment_digest("parcel-1")
    assert await tell(api, "fulfilled", 9, 1, OrderLine("A", 3, "DC1"), shipment=parcel) is Outcome.APPLIED
    body = {"lines": [{"line_id": "1", "quantity": 1}], "shipment": "parcel-1"}
    again = await api.send("POST", f"/v1/reservations/{id}/fulfil", json=body)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json()["lines"][0]["fulfilled"] == 3
    assert await api.ats("A") == 6
