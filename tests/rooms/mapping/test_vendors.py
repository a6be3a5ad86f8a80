"""Every shipped mapping against a payload of its vendor: the canonical events are golden."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from atp.mapping import Refused, load, shipped
from tests.rooms.mapping.vendors import FOLDER, VENDORS, captured, message, payload, shop


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_payload_yields_these_events(vendor: str) -> None:
    mapped = shop(vendor).apply(captured(vendor), "src")
    golden = json.loads((FOLDER / "golden" / f"{vendor}.json").read_text())
    assert msgspec.to_builtins(mapped) == golden


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_same_message_yields_the_same_events_again(vendor: str) -> None:
    assert shop(vendor).apply(captured(vendor), "src") == shop(vendor).apply(captured(vendor), "src")


def test_every_shipped_mapping_has_a_payload_and_reasons() -> None:
    assert set(shipped()) == {*VENDORS, "canonical"}
    for name in shipped():
        text = (Path(__file__).parents[3] / "atp/mapping/shipped" / f"{name}.toml").read_text()
        for word in ("# Quantity ", "# Order "):
            assert word in text, name
        assert load(name).spec.about


def refusal(vendor: str, body: object, headers: dict[str, str] | None = None) -> str:
    with pytest.raises(Refused) as refused:
        shop(vendor).apply(message(body, headers), "src")
    return str(refused.value)


def test_shopify_skips_what_it_does_not_track() -> None:
    assert shop("shopify").apply(captured("shopify", available=None), "s").skipped == {"it has no quantity": 1}
    assert shop("shopify").apply(captured("shopify", available=None), "s").events == []


def test_shopify_reads_a_saved_body_but_no_other_topic() -> None:
    body = payload("shopify")["body"]
    (event,) = shop("shopify").apply(message(body), "s").events
    assert (event.time, event.weak) == ("2026-11-20T09:14:02Z", True)
    assert "not-accepted" in refusal("shopify", body, {"x-shopify-topic": "orders/create"})


def test_ids_beyond_2_to_53_stay_exact() -> None:
    body = payload("shopify")["body"] | {"inventory_item_id": 9007199254740993}
    assert "'9007199254740993' is not in the table lookup.sku" in refusal("shopify", body)


def test_square_refuses_a_fraction_on_sale_and_a_deleted_object() -> None:
    body = payload("square")["body"]
    body["data"]["object"]["inventory_counts"][0]["quantity"] = "12.5"
    assert re.search(r"inventory_counts\[0\]: 12\.5 is not a whole number", refusal("square", body))
    body["data"]["object"]["inventory_counts"][0]["quantity"] = "12.00000"
    assert shop("square").apply(message(body), "s").events[0].data["lines"][0]["quantity"] == 12
    del body["data"]["object"]
    assert "$.data.object.inventory_counts is not there" in refusal("square", body)


def test_d365_reads_keys_of_any_case_and_one_change_alone() -> None:
    one = payload("d365-onhand")["body"][0]
    one["Dimensions"] = {"SiteId": "1", "LOCATIONID": "11", "SizeID": "M"}
    del one["dimensions"]
    one["quantities"] = {"pos": {"Inbound": "5.00", "outbound": 3}}
    (event,) = shop("d365-onhand").apply(message(one), "s").events
    assert event.data["lines"] == [{"sku": "TSHIRT-M", "location": "1-11", "quantity": 2}]


def test_d365_refuses_measures_nobody_explained() -> None:
    one = payload("d365-onhand")["body"][0]
    one["quantities"] = {"pos": {"softreserved": 1}}
    assert "unknown-code" in refusal("d365-onhand", one)
    one = payload("d365-setonhand")["body"][0]
    one["quantities"] = {"pos": {"inbound": 100, "outbound": 4}}
    assert "'pos.outbound' is not in the table" in refusal("d365-setonhand", one)


def test_netsuite_needs_to_be_told_where_its_dates_are() -> None:
    with pytest.raises(Refused, match="invalid-version") as refused:
        load(str(FOLDER / "shops" / "netsuite-no-zone.toml")).apply(captured("netsuite"), "src")
    assert "say where its clock is: version.zone" in refused.value.detail


def test_a_number_that_came_back_within_a_day_is_no_repeat() -> None:
    mapping, body = shop("netsuite"), message(payload("netsuite")["body"])
    later = message(payload("netsuite")["body"])
    later.received = "2026-11-20T10:00:00Z"
    assert mapping.apply(body, "s").events[0].id != mapping.apply(later, "s").events[0].id


def test_sap_takes_its_sign_from_the_movement_type() -> None:
    def line(**changes: str) -> list[dict[str, object]]:
        body = payload("sap-s4-materialdocument")["body"]
        body["d"]["to_MaterialDocumentItem"]["results"][0] |= changes
        return [one for event in shop("sap-s4-materialdocument").apply(message(body), "s").events
                for one in event.data["lines"]]  # fmt: skip

    assert line(GoodsMovementType="102")[0]["quantity"] == -48
    assert line(GoodsMovementType="311")[0]["quantity"] == -48
    assert line(GoodsMovementType="311", IsAutomaticallyCreated="X")[0]["quantity"] == 48
    assert line(GoodsMovementType="601", QuantityInBaseUnit="12.000-")[0]["quantity"] == 12
    assert line(Material="000000000000004711")[0]["sku"] == "4711"
    assert line(Material="0815-A")[0]["sku"] == "0815-A"
    assert line(InventoryStockType="07") == []
    assert line(InventorySpecialStockType="K") == []
    with pytest.raises(Refused, match="'Z01' is not in the table"):
        line(GoodsMovementType="Z01")


def test_sap_reads_a_collection_of_documents() -> None:
    document = payload("sap-s4-materialdocument")["body"]["d"]
    (event,) = shop("sap-s4-materialdocument").apply(message({"d": {"results": [document]}}), "s").events
    assert (event.id, event.time) == ("2026-4900001234-0001", "2026-11-20T09:14:02Z")


def epcis(**changes: object) -> list[tuple[str, str, int]]:
    body = payload("gs1-epcis")["body"]
    body["epcisBody"]["eventList"] = [body["epcisBody"]["eventList"][0] | changes]
    return [
        (event.type.split(".")[2], event.id[-5:], line["quantity"])
        for event in shop("gs1-epcis").apply(message(body), "s").events
        for line in event.data["lines"]
    ]


def test_epcis_decides_by_action_and_step() -> None:
    items = [f"urn:epc:id:sgtin:4012345.012345.{n}" for n in range(3)]
    link = "https://id.gs1.org/01/04012345123456/10/LOT1"
    assert epcis(bizStep="shipping") == [("delta", "BV2.0", -48)]
    assert epcis(bizStep="urn:epcglobal:cbv:bizstep:shipping") == [("delta", "BV2.0", -48)]
    assert epcis(bizStep="https://ref.gs1.org/cbv/BizStep-cycle_counting") == [("level", "BV2.0", 48)]
    assert epcis(quantityList=[{"epcClass": link, "quantity": 5}]) == [("delta", "BV2.0", 5)]
    assert epcis(epcList=items, quantityList=[]) == [("delta", "BV2.0", 1)] * 3
    assert epcis(epcList=items, quantityList=[], bizStep="stock_taking") == [("level", "BV2.0", 3)]
    assert epcis(bizStep="inspecting") == []
    assert epcis(type="AggregationEvent") == []
    assert epcis(quantityList=[{"epcClass": link, "quantity": 5.5, "uom": "KGM"}]) == []


def test_epcis_undoes_a_declared_mistake() -> None:
    mistake = {"declarationTime": "2026-11-21T00:00:00Z", "reason": "did_not_occur"}
    assert epcis(errorDeclaration=mistake) == [("delta", "0:00Z", -48)]
    with pytest.raises(Refused, match="count again"):
        epcis(errorDeclaration=mistake, bizStep="stock_taking")


def test_commercetools_without_a_channel() -> None:
    message = captured("commercetools", supplyChannel=None)
    assert shop("commercetools").apply(message, "s").events[0].data["lines"][0]["location"] == "AMS-01"
