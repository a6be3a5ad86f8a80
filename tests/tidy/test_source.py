"""The source itself: what two files must agree on, and what no file may have."""

import re
import subprocess
import tomllib
from inspect import getmembers, isclass
from pathlib import Path
from types import ModuleType

import pytest
from msgspec import Struct

import atp
from atp.cli.app import build
from atp.domain import commands, entries, records, state
from atp.domain.outcomes import Outcome
from atp.domain.rules import batch, clock, lifecycle, sourcing
from atp.ledger import keys

ROOT = Path(__file__).parents[2]
HEAD = (ROOT / "atp/ledger/lua/head.lua").read_text()
README = (ROOT / "README.md").read_text()

LINES_MAX = 400

#: What belongs to one machine or one network.
ELSEWHERE = re.compile(
    r"(?<![\w.}])/(?:work|root|home/\w+|Users/\w+)/"
    r"|https?://[^\s'\"]+/simple\b"
    r"|--(?:extra-)?index-url[ =]"
)


def test_no_file_is_too_long_to_read() -> None:
    sources = [path for path in (ROOT / "atp").rglob("*") if path.suffix in {".py", ".lua", ".sql"}]
    assert sources
    assert [path.name for path in sources if len(path.read_text().splitlines()) > LINES_MAX] == []


def lua_constants() -> dict[str, int]:
    """Every ``local NAME, … = number, …`` of head.lua."""
    found: dict[str, int] = {}
    for names, values in re.findall(r"^local ([A-Z][A-Z_, ]*) = ([\d, ]+)", HEAD, re.MULTILINE):
        found.update(zip(names.split(", "), map(int, values.strip().split(", ")), strict=True))
    return found


def lua_table(name: str) -> dict[str, int]:
    """The entries of one ``local NAME = { KEY = number, … }`` of head.lua."""
    body = re.search(rf"^local {name} = \{{([^}}]*)\}}", HEAD, re.MULTILINE)
    assert body, name
    return {key: int(value) for key, value in re.findall(r"([A-Z_]+) = (\d+)", body[1])}


def tags(module: ModuleType) -> dict[int, str]:
    """Tag → name of the structs that travel."""
    structs = [kind for _, kind in getmembers(module, isclass) if issubclass(kind, Struct)]
    found = [(kind.__struct_config__.tag, kind.__name__.upper()) for kind in structs]
    return {tag: name for tag, name in found if isinstance(tag, int)}


def test_lua_knows_the_outcomes_by_the_same_numbers() -> None:
    assert lua_table("O") == {outcome.name: outcome.value for outcome in Outcome}


@pytest.mark.parametrize(("table", "module"), [("C", commands), ("E", entries)])
def test_lua_knows_commands_and_entries_by_the_same_tags(table: str, module: ModuleType) -> None:
    in_lua = {value: name for name, value in lua_table(table).items()}
    in_python = tags(module)
    assert in_lua.keys() == in_python.keys()
    for tag, name in in_lua.items():
        assert name in in_python[tag]  # LEVEL is Level, OPENED is LedgerOpened


def test_bounds_of_the_same_name_are_the_same() -> None:
    in_lua = lua_constants()
    in_python = {**vars(records), **vars(state), **vars(batch), **vars(sourcing), **vars(lifecycle)}
    shared = in_lua.keys() & in_python.keys()
    assert shared >= {"FORMAT", "GRACE_MS", "DEFAULT_TTL_MS", "RECENT_MAX", "REFUSED_MS"}
    assert {name: in_lua[name] for name in shared} == {name: in_python[name] for name in shared}


def test_the_clocks_bounds_are_the_same() -> None:
    bounds = lua_table("CLOCK")
    assert len(bounds) == 4
    assert bounds == {name: getattr(clock, name) for name in bounds}


def test_the_two_tables_of_keys_are_one() -> None:
    in_lua = dict(re.findall(r"^--   ([a-z]+)[: ].*?\b(hash|zset|stream|set|list|string)\b", HEAD, re.MULTILINE))
    in_python = {key.pattern.removesuffix(":*"): key.type for key in keys.TABLE}
    del in_python["frozen"]  # of any type
    del in_python["lease"]  # taken and renewed with plain commands; the library never sees it
    assert in_lua == in_python


def test_the_readme_names_targets_and_commands_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^    |`)make ([a-z-]+)", README, re.MULTILINE)
    assert named
    assert set(named) <= targets
    app = build()
    for command in re.findall(r"`atp ([a-z ]+)", README):
        assert app.parse_commands(command.split())[2] == [], f"atp {command} does not exist"


def test_no_file_speaks_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("not a checkout")
    found = []
    for name in listed:
        path = ROOT / name
        if path.is_file() and path.suffix != ".js":
            found += [f"{name}: {match[0]}" for match in ELSEWHERE.finditer(path.read_text())]
    assert found == []


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == atp.__version__
    newest = re.search(r"^## .*?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == atp.__version__


def test_every_line_of_the_security_list_names_tests_that_exist() -> None:
    table = (ROOT / "docs/reference/security.md").read_text().partition("## The list")[2]
    lines = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(lines) > 20
    for _, held in lines:
        for name in re.findall(r"`([\w/]+\.py)", held):
            assert (ROOT / name).exists() or (ROOT / "tests/rooms/api" / name).exists(), name
        for name, test in re.findall(r"`([\w/]+\.py)::(\w+)`", held):
            path = ROOT / name if name.startswith("tests/") else ROOT / "tests/rooms/api" / name
            assert f"def {test}(" in path.read_text(), f"{name}::{test}"
