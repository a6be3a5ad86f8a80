"""Explain: the terms of an answer re-add to it, whatever happened before (DESIGN §1 P6)."""

import asyncio
from random import Random

import pytest

from atp.domain.explain import Explanation, SkuReading, explain
from atp.domain.records import Asked, SkuStock
from atp.ledger import wire
from tests.scenarios import every
from tests.scenarios.laws import LuaLaw
from tests.scenarios.readings import reading_of
from tests.scenarios.table import Table
from tests.scenarios.test_random import LawsAgree
from tests.scenarios.world import CAMPAIGNS, CHANNELS

ANYBODY = Asked()


def re_add(reading: SkuReading, stock: SkuStock, asked: Asked = ANYBODY) -> Explanation:
    """The explanation, each of whose sums is the answer it explains."""
    found = explain(reading, asked)
    assert reading.stock() == stock
    assert found.ats == sum(term.quantity for term in found.terms) == stock.ats
    opened = [term for term in found.terms if term.term == "location"]
    for at, read, answered, term in zip(found.locations, reading.locations, stock.locations, opened, strict=True):
        assert at.location == answered.balance.location == term.location
        assert at.free == sum(term.quantity for term in at.terms) == answered.balance.free
        assert at.ats == at.free + sum(limit.quantity for limit in at.limits) == answered.ats
        kept = max(0, answered.balance.free) - read.promised_later
        assert term.quantity == (kept if answered.active else 0)
        assert len({term.term for term in at.terms}) == len(at.terms)
    for limit in found.terms[len(opened) :]:
        assert (limit.quantity > 0) == (limit.term == "protection_met_elsewhere")
    return found


class Explained(LawsAgree):
    """After every batch, and so at the end of every life, all skus are explained to somebody."""

    def conserved(self) -> None:
        super().conserved()
        draw, now = Random(self.reference.state.seq), self.now
        for sku in [*self.skus, "never heard of"]:
            asked = Asked(
                draw.choice([*CHANNELS, "default"]), draw.choice(["", "", "", *CAMPAIGNS]),
                *draw.choice([("", ""), ("", ""), ("DC1", ""), ("", "east")]),
            )  # fmt: skip
            reading, stock = self.lua.ask(now, wire.ask_explanation(sku, asked), wire.ask_sku(sku, asked))
            assert reading == reading_of(self.reference, sku, asked, now)
            re_add(reading, stock, asked)


@pytest.mark.parametrize("seed", range(8))
def test_the_terms_re_add_to_the_answer_in_random_lives(
    valkey: str, loop: asyncio.AbstractEventLoop, seed: int
) -> None:
    every.live(every.machine(valkey, loop, Explained), seed, batches=30)


def told(table: Table, sku: str = "A", asked: Asked = ANYBODY) -> Explanation:
    if isinstance(table.law, LuaLaw):
        reading, stock = table.law.ask(table.now, wire.ask_explanation(sku, asked), wire.ask_sku(sku, asked))
    else:
        reading = reading_of(table.law, sku, asked, table.now)
        stock = reading.stock()
    return re_add(reading, stock, asked)


def shown(terms: list) -> list[tuple[str, int]]:
    return [(term.term, term.quantity) for term in terms]


def test_every_term_has_its_place(table: Table) -> None:
    table.run(
        """
        item A {"safety_stock":2}
        level A@DC1 20 v5 at 0
        delta A@DC1 -3 v7 e1
        delta A@DC1 1 v8 e2
        level A@DC1 99 v3 by erp
        reserve r1 A:4
        reserve r2 A:3
        confirm r2
        fulfil r2 1:1
        """
    )
    (at,) = told(table).locations
    assert shown(at.terms) == [
        ("level", 20), ("deltas", -2), ("safety_stock", -2), ("held", -4), ("committed", -2), ("shipped_uncounted", -1),
    ]  # fmt: skip
    level, deltas, safety = at.terms[:3]
    assert (level.source, level.version, deltas.source) == ("wms", "5", "wms")
    assert level.as_of.endswith("Z")
    assert safety.policy_version == table.law.dump()["skus"]["A"][1]
    assert at.limits == []
    (other,) = at.other_sources
    assert (other.source, other.role, other.quantity, other.version) == ("erp", "unlisted", 99, "3")


def test_what_a_location_may_not_sell_is_a_limit(table: Table) -> None:
    table.run(
        """
        level A@DC1 -7 v1
        level A@DC2 3 v1
        level A@S1 5 v1
        location DC2 {"kind":"warehouse","active":false}
        """
    )
    found = told(table)
    assert {at.location: shown(at.limits) for at in found.locations} == {
        "DC1": [("never_below_zero", 7)],
        "DC2": [("not_active", -3)],
        "S1": [],
    }
    assert [(term.location, term.quantity) for term in found.terms] == [("DC1", 0), ("DC2", 0), ("S1", 5)]


def test_numbers_that_do_not_count_are_shown_with_their_role(table: Table) -> None:
    table.run(
        """
        location DC1 {"kind":"store","sources":[{"source":"erp","role":"authority"},{"source":"wms","role":"shadow"}]}
        source erp {"kind":"erp","version":"time"}
        level A@DC1 8 v1795255200000000 time by erp
        level A@DC1 6 v4 by wms
        """
    )
    (at,) = told(table).locations
    assert (at.terms[0].source, at.terms[0].version) == ("erp", "2026-11-21T10:00:00.000Z")
    assert [(other.source, other.role, other.quantity) for other in at.other_sources] == [("wms", "shadow", 6)]


def test_deltas_without_a_level_and_a_sku_without_anything(table: Table) -> None:
    table.run(
        """
        location DC1 {"kind":"warehouse","sources":[{"source":"wms","role":"authority"}]}
        delta A@DC1 3 v1 e1
        delta A@DC1 2 v2 e2
        """
    )
    (at,) = told(table).locations
    assert shown(at.terms) == [("deltas", 5)]
    assert told(table, "B") == Explanation([], 0, [])


def test_deltas_that_are_forgotten_or_too_many_stay_inside_the_level(table: Table) -> None:
    table.run("level A@DC1 9000 v1")
    for n in range(5):
        wanted = range(n * 900, n * 900 + 900)
        deltas = [table.command("delta", ["A@DC1", "-1", f"v{v + 2}", f"e{v}"]) for v in wanted]
        assert {result.outcome.name for result in table.law.apply(deltas, table.now)[0]} == {"APPLIED"}
    (at,) = told(table).locations
    assert [term.term for term in at.terms] == ["level_and_older_deltas", "deltas"]
    assert sum(term.quantity for term in at.terms) == 9000 - 4500


def test_what_is_kept_for_others_and_the_own_ceiling(table: Table) -> None:
    table.run(
        """
        level A@DC1 20 v1
        level A@DC2 10 v1
        channel app {"priority":1}
        share A app {"protection":8}
        share A web {"cap":5}
        reserve r1 A:3 via app
        reserve r2 A:1 via web
        share A b2b {"protection":40}
        """
    )
    web = told(table, asked=Asked("web"))
    assert [(t.term, t.quantity, t.channel) for t in web.terms] == [
        ("location", 16, ""), ("location", 10, ""), ("protection", -26, "b2b"),
    ]  # fmt: skip
    app = told(table, asked=Asked("app"))
    assert [t.term for t in app.terms] == ["location", "location", "protection"]
    table.run('share A b2b {"protection":10}')
    web = told(table, asked=Asked("web"))
    assert [(t.term, t.quantity, t.channel) for t in web.terms[2:]] == [
        ("protection", -10, "b2b"), ("protection", -5, "app"), ("cap", -7, "web"),
    ]  # fmt: skip
    assert web.ats == 4
    assert all(term.policy_version > 0 for term in web.terms[2:])
    dc1 = told(table, asked=Asked("web", "", "DC1"))
    assert shown(dc1.terms) == [("location", 16), ("protection", -5), ("cap", -7)]


def test_units_that_promises_for_later_need_are_a_limit(table: Table) -> None:
    table.run(
        """
        level A@DC1 10 v1
        level A@DC2 4 v1
        incoming A@DC1 po1 6 d2 v1
        reserve r1 A:6@DC1/d5
        """
    )
    assert [shown(at.limits) for at in told(table).locations] == [[], []]
    table.run("incoming A@DC1 po1 2 d2 v2")
    found = told(table)
    assert [(at.free, shown(at.limits), at.ats) for at in found.locations] == [
        (10, [("promised_later", -4)], 6),
        (4, [], 4),
    ]
    assert [(term.location, term.quantity) for term in found.terms] == [("DC1", 6), ("DC2", 4)]
    table.run('location DC1 {"kind":"warehouse","active":false}')
    assert [shown(at.limits) for at in told(table).locations if at.location == "DC1"] == [[("not_active", -10)]]


def test_a_floor_that_others_stock_can_meet_takes_less(table: Table) -> None:
    table.run(
        """
        level A@DC1 10 v1
        level A@DC2 10 v1
        channel web {"locations":["DC1"]}
        share A app {"protection":15}
        """
    )
    web = told(table, asked=Asked("web"))
    assert shown(web.terms) == [("location", 10), ("protection", -15), ("protection_met_elsewhere", 10)]


def test_a_campaign_is_a_seller_with_a_window(table: Table) -> None:
    table.run(
        """
        level A@DC1 20 v1
        campaign bf +60 +120 A:5
        """
    )
    before = told(table, asked=Asked("web", "bf"))
    assert [(t.term, t.quantity, t.campaign) for t in before.terms] == [
        ("location", 20, ""),
        ("campaign_closed", -20, "bf"),
    ]
    shop = told(table, asked=Asked("web"))
    assert [(t.term, t.quantity, t.campaign) for t in shop.terms] == [("location", 20, ""), ("protection", -5, "bf")]
    table.run("wait 61")
    assert shown(told(table, asked=Asked("web", "bf")).terms) == [("location", 20), ("cap", -15)]
