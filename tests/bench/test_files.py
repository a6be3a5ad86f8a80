"""What a run leaves in files: a line of history, tables in a page of the docs, a page that needs nothing else."""

import re
from pathlib import Path

import msgspec
import pytest

from atp.bench import docs, history
from atp.bench.budgets import BadBudgets
from atp.bench.ending import Ending, Wanted, judge, keep, ready
from atp.bench.figures import PEER, REFERENCE, SUBJECT, Ratio, Round, Series
from atp.bench.machine import Machine
from atp.bench.report import Finding, Report
from atp.pages import Unwritable

MACHINE = Machine("cpu", 2, 4.0, "kernel", "python", "ext4", {"valkey": "9"}, [0.1, 0.2, 0.3])


def report(at: str = "2026-11-22T00:00:00Z", *values: float, machine: Machine = MACHINE) -> Report:
    rounds = [Round(100.0, 300, 1.0, 2.0, 3.0, cpu_us={"api": 50.0, "load generator": 5.0})] * 2
    return Report(
        "reserve", at, "abc", {"seconds": "3"}, machine,
        [Series(name, role, rounds, 64) for name, role in (("a|b", SUBJECT), ("<b>", REFERENCE), ("c", PEER))],
        [Ratio("a ÷ b", list(values) or [1.0, 1.02])], [Finding("oversold 0", True, "0 of 7")],
        skipped={"fastify": "no Node.js"},
    )  # fmt: skip


def finish(found: Report, wanted: Wanted) -> Ending:
    ending = judge(found, ready(wanted))
    keep(found, wanted, ending)
    return ending


def test_a_line_of_history_has_what_later_runs_need(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    finish(report("2026-11-21T00:00:00Z", 1.0, 1.02, 1.04), Wanted(history=path))
    (line,) = (msgspec.json.decode(text) for text in path.read_text().splitlines())
    assert line["ratios"] == {"a ÷ b": [1.02, 1.0, 1.04]}
    assert (line["kind"], line["commit"], line["command"]) == ("cpu × 2, ext4", "abc", "reserve")
    assert (line["noisy"], line["ok"], line["machine"]["load_before"]) == (False, True, [0.1, 0.2, 0.3])
    later = finish(report("2026-11-22T00:00:00Z", 0.5, 0.51), Wanted(history=path))
    assert later.tables[0].title == "Since 2026-11-21T00:00:00Z, commit abc"
    assert later.tables[0].rows == [["a ÷ b", "1.02", "0.51", "-50%", "outside of both spreads"]]
    assert len(history.read(path)) == 2


def test_only_like_is_compared_with_like(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    other = msgspec.structs.replace(MACHINE, cores=64)
    finish(report("2026-11-19T00:00:00Z", 1.0, 1.0, machine=other), Wanted(history=path))
    finish(report("2026-11-20T00:00:00Z", 1.0, 9.0), Wanted(history=path))  # noisy
    assert finish(report(), Wanted(history=path)).tables == []


def test_a_line_that_cannot_be_read_is_named_before_the_run(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    history.append(path, history.line_of(report()))
    path.write_text(path.read_text() + '{"at": 1}\n')
    with pytest.raises(history.BadHistory, match=r"history.ndjson, line 2: .*at"):
        ready(Wanted(history=path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[budget]]\nratio = 'x'\n", "needs one of at_least and at_most"),
        ("[[budget]]\nratio = 'x'\nat_least = 1\nat_most = 2\n", "needs one of at_least and at_most"),
        ("[[budget]]\nratio = 'x'\nat_leats = 1\n", "at_leats"),
        ("[[budget]]\nratio = 'x'\nat_least = 'a lot'\n", "float"),
        ("[[budget\n", "budgets.toml"),
    ],
)
def test_a_mistake_in_budgets_is_named_before_the_run(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(text)
    with pytest.raises(BadBudgets, match=told):
        ready(Wanted(budgets=path))


def test_the_budgets_of_the_project_can_be_read() -> None:
    assert ready(Wanted(budgets=Path(__file__).parents[2] / "loadtests" / "budgets.toml")).budgets


def test_tables_go_between_the_markers_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# Ours\n\n{docs.BEGIN}\nold\n{docs.END}\n\nmore of ours\n")
    finish(report(), Wanted(docs=page))
    text = page.read_text()
    assert text.startswith(f"# Ours\n\n{docs.BEGIN}\n")
    assert text.endswith(f"{docs.END}\n\nmore of ours\n")
    assert "\nold\n" not in text
    assert "| a\\|b | 100 | 100–100 | 1.00 | 2.00 | 3.00 | 0 | 0 | 50: api 50; load generator 5 |" in text
    finish(report(), Wanted(docs=page))
    assert page.read_text() == text


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# Ours\n")
    with pytest.raises(docs.NoMarkers, match="bench: begin"):
        ready(Wanted(docs=page))
    assert page.read_text() == "# Ours\n"


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "report.html"
    finish(report(), Wanted(html=page))
    text = page.read_text()
    assert text.count("<svg") == 4
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert "no Node.js" in text
    outside = re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)[^"'\s>]+|@import|<script""", text)
    assert outside == []


def test_a_page_that_cannot_be_written_is_told_before_the_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for path in (tmp_path, tmp_path / "nowhere" / "report.html", Path("/proc/report.html")):
        for wanted in (Wanted(html=path), Wanted(history=path)):
            with pytest.raises(Unwritable, match="cannot be written"):
                ready(wanted)
    ready(Wanted(html=tmp_path / "report.html"))
    assert not list(tmp_path.iterdir())
