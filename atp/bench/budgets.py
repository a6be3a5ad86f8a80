"""Budgets: what ratios must reach on any machine, and what a run says of them."""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from atp.bench.figures import Ratio
from atp.bench.report import Report
from atp.pages import Table

State = Literal["met", "BROKEN", "too noisy", "one round", "not measured"]


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """One ratio's bound: exactly one of the two. ``goal`` is where it shall come to (DESIGN §9), ``why`` for people."""

    ratio: str
    at_least: float | None = None
    at_most: float | None = None
    goal: float | None = None
    why: str = ""


class Verdict(Struct):
    """A budget beside what was found."""

    budget: Budget
    found: Ratio | None
    state: State


class BadBudgets(Exception):
    """The file cannot be used; the text says where."""


def read(path: Path) -> list[Budget]:
    """The budgets of a file. Raises BadBudgets."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text()).get("budget", []), list[Budget])
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadBudgets(f"{path}: {error}") from None
    for budget in found:
        if (budget.at_least is None) == (budget.at_most is None):
            raise BadBudgets(f"{path}: {budget.ratio!r} needs one of at_least and at_most")
    return found


def judge(report: Report, budgets: list[Budget]) -> list[Verdict]:
    """A verdict for each budget; none where the machine was too noisy to tell."""
    ratios = {ratio.name: ratio for ratio in report.ratios}
    return [Verdict(budget, ratios.get(budget.ratio), _state(budget, report, ratios)) for budget in budgets]


def _state(budget: Budget, report: Report, ratios: dict[str, Ratio]) -> State:
    found = ratios.get(budget.ratio)
    if found is None:
        return "not measured"
    if report.unsteady and not found.by_cpu:
        return "too noisy"
    if found.doubt:
        return found.doubt
    low = budget.at_least is not None and found.middle < budget.at_least
    high = budget.at_most is not None and found.middle > budget.at_most
    return "BROKEN" if low or high else "met"


def table(verdicts: list[Verdict]) -> Table:
    """Of those that were measured."""
    rows = [
        [
            v.budget.ratio, f"{v.found.middle:.2f}",
            f"≥ {v.budget.at_least:g}" if v.budget.at_least is not None else f"≤ {v.budget.at_most:g}",
            f"{v.budget.goal:g}" if v.budget.goal is not None else "", v.state,
        ]
        for v in verdicts
        if v.found
    ]  # fmt: skip
    return Table("Budgets", ["", "found", "budget", "goal", ""], rows)
