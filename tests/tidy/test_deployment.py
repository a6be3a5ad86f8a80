"""Dockerfile and compose.yaml, as far as they can be held against the rest without an engine."""

import re
from collections.abc import Iterable
from itertools import batched
from pathlib import Path
from typing import Any

import yaml

import atp
from atp import config
from atp.dev import nats as dev_nats
from atp.dev import postgres as dev_postgres
from atp.dev import valkey as dev_valkey
from atp.ledger.fitness import ALWAYS, VALKEY_FIXED

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def valkey_settings() -> dict[str, str]:
    """The flags of the server in compose.yaml."""
    return {flag.removeprefix("--"): value for flag, value in batched(SERVICES["valkey"]["command"][1:], 2)}


def settings_in(lines: Iterable[str], separator: str) -> dict[str, str]:
    """Names and values of lines with one setting each."""
    return {name: value for name, _, value in (line.partition(separator) for line in lines)}


def test_valkey_has_what_the_ledger_requires() -> None:
    found = valkey_settings()
    required = {setting.name: setting.needed for setting in ALWAYS if not setting.optional}
    assert {name: found[name] for name in required} == required
    version = tuple(map(int, SERVICES["valkey"]["image"].rpartition(":")[2].split(".")))
    assert version >= VALKEY_FIXED[version[0]]


def test_the_servers_are_set_as_those_of_atp_dev() -> None:
    theirs = settings_in(dev_valkey._CONFIG.splitlines(), " ")
    for own in ("bind", "port", "protected-mode", "dir", "daemonize", "loglevel", "logfile", "requirepass"):
        del theirs[own]  # about the place, not about what is promised
    ours = valkey_settings()
    del ours["requirepass"]
    assert ours == {name: value.strip('"') for name, value in theirs.items()}

    nats = COMPOSE["configs"]["nats"]["content"]
    for setting in re.findall(r"(?:sync_interval|max_file_store|max_payload): \w+", dev_nats._CONFIG):
        assert setting in nats

    flags = settings_in([flag.removeprefix("-c") for flag in SERVICES["postgres"]["command"][1:]], "=")
    theirs = settings_in(dev_postgres._CONFIG.replace("'", "").splitlines(), " = ")
    place = {"listen_addresses", "port", "dynamic_shared_memory_type"}  # a killed container's segments end with it
    assert flags == {name: theirs[name] for name in theirs.keys() - place if theirs[name]}


def test_ports_are_open_to_this_machine_only() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_every_setting_exists_and_no_password_is_written() -> None:
    names = {setting.name for setting in config.describe({})}
    for name in ("api", "ingest", "drain", "migrate"):
        assert SERVICES[name]["environment"].keys() <= names
        for value in map(str, SERVICES[name]["environment"].values()):
            assert "@" not in value or re.search(r"\$\{[A-Z]+_PASSWORD:\?[^}]+\}@", value)
    assert set(re.findall(r"\bATP_[A-Z_]+", DOCKERFILE)) <= names


def test_the_image_runs_as_nobody_in_particular_and_is_told_to_end_in_order() -> None:
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["atp"\]$', DOCKERFILE, re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIGTERM$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.index("\nHEALTHCHECK") > DOCKERFILE.index("\nUSER")
    assert f"ARG VERSION={atp.__version__}\n" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE


def test_what_the_image_is_made_of_passes_dockerignore() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in allowed)
