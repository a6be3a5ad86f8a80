"""Policies: replaced as a whole, versioned by position, refused when somebody else was faster."""

from atp.domain.commands import PutPolicy
from atp.domain.outcomes import Outcome
from tests.scenarios.laws import START_MS
from tests.scenarios.table import Table


def put(table: Table, *words, **more) -> tuple[Outcome, str]:
    (result,), _ = table.law.apply([PutPolicy(*words, **more)], START_MS)
    return result.outcome, result.detail


def test_a_version_guards_against_lost_updates(table: Table) -> None:
    outcome, version = put(table, "location", "NEW", '{"kind":"store"}', 0)
    assert outcome is Outcome.APPLIED
    assert put(table, "location", "NEW", '{"kind":"store"}', 0) == (Outcome.VERSION_MISMATCH, version)
    assert put(table, "location", "NEW", '{"kind":"store"}', int(version))[0] is Outcome.APPLIED
    assert put(table, "location", "NEW", '{"kind":"store"}', int(version))[0] is Outcome.VERSION_MISMATCH
    assert put(table, "location", "NEW", '{"kind":"store"}')[0] is Outcome.APPLIED


def test_items_are_versioned_with_their_sku(table: Table) -> None:
    outcome, version = put(table, "item", "A", '{"safety_stock":1}', 0)
    assert outcome is Outcome.APPLIED
    assert put(table, "item", "A", "{}", 0) == (Outcome.VERSION_MISMATCH, version)
    table.run("level A@DC1 5 v1\n= A@DC1 4 0 0")


def test_a_copy_keeps_the_version_it_brings(table: Table) -> None:
    assert put(table, "client", "shop", "{}", version=77) == (Outcome.APPLIED, "77")
    assert put(table, "client", "shop", "{}", 77)[0] is Outcome.APPLIED


def test_a_policy_counts_for_the_next_command_of_the_same_batch(table: Table) -> None:
    level = table.command("level", ["A@NEW", "5", "v1"])
    reserve = table.command("reserve", ["r1", "A:5"])
    results, _ = table.law.apply([level, PutPolicy("location", "NEW", "{}"), level, reserve], START_MS)
    assert [r.outcome for r in results] == [
        Outcome.UNKNOWN_LOCATION, Outcome.APPLIED, Outcome.APPLIED, Outcome.APPLIED,
    ]  # fmt: skip


def test_an_item_policy_leaves_the_balances_it_changed(table: Table) -> None:
    table.run('level A@DC2 5 v1\nlevel A@DC1 5 v1\nitem A {"safety_stock":2}')
    entry = table.entries[-1]
    assert [(b.location, b.free) for b in entry.balances] == [("DC1", 3), ("DC2", 3)]
