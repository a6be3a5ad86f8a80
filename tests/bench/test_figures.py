"""Ratios are of neighbouring rounds, and rounds that disagree give no verdict."""

from pathlib import Path

import pytest

from atp.bench import machine
from atp.bench.ending import BROKEN, NO_VERDICT, WELL, Wanted, judge, ready
from atp.bench.figures import (
    RATIO_SPREAD_MAX,
    REFERENCE,
    REFERENCE_SPREAD_MAX,
    SUBJECT,
    Ratio,
    Round,
    Series,
    ratio,
    spread,
    unsteady,
)
from atp.bench.report import Finding, Report, tables


def series(name: str, role: str, *rates: float) -> Series:
    return Series(name, role, [Round(rate, p99_ms=1_000 / rate) for rate in rates], 64)


def test_refusals_say_nothing_where_others_use_the_machine() -> None:
    refused = Finding("no refusals in a closed loop", False, "", timed=True)
    assert report([], [refused]).broken == [refused.name]
    assert report([], [refused], ["echo: …"]).ok
    assert not report([], [Finding("oversold 0", False, "")], ["echo: …"]).ok


def report(ratios: list[Ratio], findings: list[Finding] | None = None, unsteady: list[str] | None = None) -> Report:
    facts = machine.Machine("cpu", 2, 4.0, "kernel", "python", "ext4")
    return Report(
        "reserve", "2026-11-22T00:00:00Z", "abc", {"seconds": "3"}, facts, ratios=ratios, findings=findings or [],
        unsteady=unsteady or [],
    )  # fmt: skip


def test_a_single_round_is_not_blamed_on_the_machine() -> None:
    single = report([Ratio("a ÷ b", [0.5])])
    assert single.noise == ["a single round has nothing to agree with"]
    found = judge(single, ready(Wanted()))
    assert found.code == NO_VERDICT
    assert found.text.endswith("there is no verdict: a single round has nothing to agree with")
    assert "one round" in next(table for table in tables(single) if table.title.startswith("Ratios")).rows[0]


def test_a_slow_minute_meets_both_and_leaves_the_ratio() -> None:
    found = ratio("a ÷ b", series("a", SUBJECT, 100, 50, 98), series("b", REFERENCE, 200, 100, 200))
    assert found.values == [0.5, 0.5, 0.49]
    assert found.middle == 0.5
    assert not found.noisy
    assert ratio("p99", series("a", SUBJECT, 100.0), series("b", REFERENCE, 200.0), "p99_ms").values == [2.0]


def test_rounds_that_disagree_are_noise() -> None:
    just = [1.0, 1.0 + RATIO_SPREAD_MAX, 1.0]
    assert not Ratio("within", just).noisy
    assert Ratio("beyond", [1.0, 1.0 + RATIO_SPREAD_MAX + 0.01, 1.0]).noisy
    assert Ratio("a single round agrees with nothing", [1.0]).noisy
    assert spread([]) == 0.0
    assert spread([90, 110, 100]) == pytest.approx(0.2)


def test_a_reference_that_changes_tells_of_the_machine_and_a_subject_does_not() -> None:
    wild = (100.0, 100.0 * (1 + REFERENCE_SPREAD_MAX) + 1, 100.0)
    assert unsteady([series("echo", REFERENCE, *wild)]) == ["echo at 64 connections: its rounds lie 31% apart"]
    assert unsteady([series("echo", REFERENCE, 100, 120, 100), series("ours", SUBJECT, *wild)]) == []


@pytest.mark.parametrize(
    ("ratios", "held", "machine_unsteady", "code"),
    [
        ([1.0, 1.05, 1.0], True, [], WELL),
        ([1.0, 1.5, 1.0], True, [], NO_VERDICT),
        ([1.0, 1.05, 1.0], True, ["echo: …"], NO_VERDICT),
        ([1.0, 1.05, 1.0], False, [], BROKEN),
        ([1.0, 1.5, 1.0], False, [], BROKEN),  # noise excuses no broken promise
    ],
)
def test_a_broken_promise_counts_more_than_noise(
    ratios: list[float], held: bool, machine_unsteady: list[str], code: int
) -> None:
    found = report([Ratio("a ÷ b", ratios)], [Finding("oversold 0", held, "")], machine_unsteady)
    assert judge(found, ready(Wanted())).code == code


@pytest.mark.parametrize(
    ("bound", "values", "state", "code"),
    [
        ("at_least = 0.9", [1.0, 1.05, 1.0], "met", WELL),
        ("at_least = 1.1", [1.0, 1.05, 1.0], "BROKEN", BROKEN),
        ("at_most = 0.9", [1.0, 1.05, 1.0], "BROKEN", BROKEN),
        ("at_most = 1.1", [1.0, 1.05, 1.0], "met", WELL),
        ("at_least = 1.1", [1.0, 1.5, 1.0], "too noisy", NO_VERDICT),
    ],
)
def test_budgets(tmp_path: Path, bound: str, values: list[float], state: str, code: int) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(f'[[budget]]\nratio = "a ÷ b"\n{bound}\ngoal = 2.0\n')
    wanted = Wanted(budgets=path)
    found = judge(report([Ratio("a ÷ b", values)]), ready(wanted))
    assert (found.tables[0].rows[0][-1], found.code) == (state, code)


def test_what_is_counted_in_cpu_time_needs_no_steady_machine(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text('[[budget]]\nratio = "cpu"\nat_least = 2\n[[budget]]\nratio = "rate"\nat_least = 2\n')
    wanted = Wanted(budgets=path)
    ratios = [Ratio("cpu", [1.0, 1.0], by_cpu=True), Ratio("rate", [1.0, 1.0])]
    found = judge(report(ratios, unsteady=["echo: …"]), ready(wanted))
    assert [row[-1] for row in found.tables[0].rows] == ["BROKEN", "too noisy"]
    assert found.code == BROKEN
    served = Round(1.0, cpu_us={"api": 50.0, "valkey": 20.0, "load generator": 9.0})
    assert served.served_us == 70.0


def test_a_budget_of_what_was_not_measured_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text('[[budget]]\nratio = "c ÷ d"\nat_least = 1\n')
    wanted = Wanted(budgets=path)
    found = judge(report([Ratio("a ÷ b", [1.0, 1.0])]), ready(wanted))
    assert (found.code, found.tables) == (WELL, [])
