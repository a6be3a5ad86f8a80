"""The command line itself: help, exit codes, and the commands that need no running service."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from atp.cli import logs
from atp.cli.app import build, run
from atp.config import Config
from atp.domain.keys import key_prefix
from atp.journal import migrate

ROOT = Path(__file__).parents[2]


def commands(app: App, path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Every command that does something, as it is called."""
    names = [name for name in app if not name.startswith("-")]
    if not names:
        yield list(path)
    for name in names:
        yield from commands(app[name], (*path, name))


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests set what they need."""
    for name in list(os.environ):
        if name.startswith("ATP_"):
            monkeypatch.delenv(name)


@pytest.fixture
def ledger_settings(monkeypatch: pytest.MonkeyPatch, valkey: str, database: str, namespace: str) -> None:
    """A ledger and a journal of this test's own."""
    asyncio.run(migrate(database))
    monkeypatch.setenv("ATP_REDIS_URL", valkey)
    monkeypatch.setenv("ATP_DATABASE_URL", database)
    monkeypatch.setenv("ATP_NAMESPACE", namespace)


@pytest.mark.parametrize("command", list(commands(build())), ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    assert f"Example: atp {' '.join(command)}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", [
    ["nonsense"], ["dev", "--nonsense"], ["keys", "create"], ["serve"], ["history"], ["audit"], ["promote"],
    ["explain", "A", "--at", "noon"], ["check", "--share", "0"], ["dev", "--workers", "0"], ["serve", "--workers", "0"],
    ["dev", "--port", "99999"],
    ["dlq", "discard"],
])  # fmt: skip
def test_wrong_use_gives_2(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command) == 2
    assert capsys.readouterr().err


def test_a_failure_gives_1_and_a_message_without_a_traceback() -> None:
    environ = {**os.environ, "ATP_DATABASE_URL": "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable"}
    done = subprocess.run(
        [sys.executable, "-m", "atp", "migrate"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("atp: ")
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "atp", "config", "show"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as listing:
        assert listing.stdout
        assert listing.stderr
        listing.stdout.close()
        assert listing.stderr.read() == b""
    assert listing.returncode == 141


def test_commands_use_the_dev_of_this_folder_or_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["keys", "list"], ["explain", "A", "--at", "0:1"], ["check"], ["audit", "--about", "x"]):
        assert run(command) == 1
        assert "run this where `atp dev` runs" in capsys.readouterr().err


def test_whoever_names_a_ledger_does_not_get_the_one_of_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".atp").mkdir()
    here = {"redis": "redis://127.0.0.1:1/0", "postgres": "postgres://127.0.0.1:1/x", "nats": "nats://127.0.0.1:1"}
    (tmp_path / ".atp" / "endpoints.json").write_text(json.dumps(here))
    monkeypatch.setenv("ATP_REDIS_URL", "redis://elsewhere/0")
    assert run(["check"]) == 2
    assert "ATP_DATABASE_URL: not set" in capsys.readouterr().err
    monkeypatch.setenv("ATP_REDIS_URL", here["redis"])  # as `atp dev` was told to use it
    assert run(["check"]) == 1
    assert "cannot use the ledger at 127.0.0.1:1" in capsys.readouterr().err


def test_a_state_directory_that_cannot_be_one_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert run(["dev", "--state-dir", str(file)]) == 1
    assert "cannot be a state directory" in capsys.readouterr().err
    (tmp_path / "ports.json").write_text("{")
    assert run(["dev", "--state-dir", str(tmp_path)]) == 1
    assert "ports.json cannot be read" in capsys.readouterr().err


def test_help_loads_no_server_library() -> None:
    script = "import sys; from atp.cli.app import run; run(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    for module in ("litestar", "asyncpg", "nats", "granian", "redis", "structlog"):
        assert f"'{module}'" not in done.stdout


def test_config_show_masks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ATP_NATS_URL", "nats://hunter2@host:4222")
    monkeypatch.setenv("ATP_NAMESAPCE", "x")
    assert run(["config", "show", "--json"]) == 0
    captured = capsys.readouterr()
    shown = {setting["name"]: setting for setting in json.loads(captured.out)}
    assert shown["ATP_NATS_URL"] == {**shown["ATP_NATS_URL"], "value": "nats://***@host:4222", "source": "env"}
    assert "ATP_NAMESAPCE" in captured.err
    assert run(["config", "show"]) == 0
    assert "hunter2" not in capsys.readouterr().out


@pytest.mark.usefixtures("ledger_settings")
def test_keys_are_made_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "shop"]) == 2  # a new client needs a scope
    assert run(["keys", "create", "shop", "--scope", "everything"]) == 2
    capsys.readouterr()
    prefixes = []
    for _ in range(2):
        assert run(["keys", "create", "shop", "--scope", "availability:read", "--channel", "web", "--json"]) == 0
        made = json.loads(capsys.readouterr().out)
        assert key_prefix(made["key"]) == made["prefix"]
        prefixes.append(made["prefix"])
    assert run(["keys", "create", "shop"]) == 1  # two at most
    for wrong in ("reserve", "everything=5", "reserve=0", "reserve=many", "reserve=5:-1", "reserve=nan"):
        assert run(["keys", "create", "till", "--scope", "availability:read", "--quota", wrong]) == 2
    limits = ["--quota", "reserve=500", "--quota", "read=20.5:200"]
    assert run(["keys", "create", "till", "--scope", "availability:read", *limits]) == 0
    capsys.readouterr()
    assert run(["keys", "list", "--json"]) == 0
    output = capsys.readouterr().out
    assert "sha256" not in output
    client, limited = json.loads(output)
    assert client["quotas"] == {}
    assert limited["quotas"] == {"reserve": {"rate": 500, "burst": 0}, "read": {"rate": 20.5, "burst": 200}}
    assert run(["keys", "create", "till", "--quota", "none"]) == 0
    capsys.readouterr()
    assert (client["client"], client["scopes"], client["channels"]) == ("shop", ["availability:read"], ["web"])
    assert [key["prefix"] for key in client["keys"]] == prefixes
    assert run(["keys", "revoke", prefixes[0]]) == 0
    assert run(["keys", "revoke", prefixes[0]]) == 1
    capsys.readouterr()
    run(["keys", "list", "--json"])
    assert [key["prefix"] for key in json.loads(capsys.readouterr().out)[0]["keys"]] == prefixes[1:]


@pytest.mark.parametrize("form", ["json", "console"])
def test_logs_conceal_passwords_and_keys(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    key = "atp_abcdefghij12_" + "s" * 43
    logs.configure(Config(log_format=form))  # type: ignore[arg-type]
    try:
        raise ValueError("cannot reach redis://:hunter2@host:1/0")
    except ValueError:
        logging.getLogger("some.library").exception("with %s and nats://hunter2@host", key)
    written = capsys.readouterr().err
    assert "atp_abcdefghij12_***" in written
    assert "hunter2" not in written
    assert "ssss" not in written
