"""PostgreSQL's three ways under root; an ordinary user has one. The owner of existing data decides."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from atp.dev import identity
from atp.dev.identity import choose_identity, reachable_copy
from atp.dev.postgres import Postgres
from tests.support import asking

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Path]:
    """A state directory that nobody else can reach."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(reachable_copy(folder / "postgres"), ignore_errors=True)


async def _value(url: str) -> int:
    async with asking(url) as connection:
        return await connection.fetchval("select 7") or 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root has other ways")
def test_an_ordinary_user_runs_it_directly(tmp_path: Path) -> None:
    chosen = choose_identity(tmp_path / "postgres", Postgres.wheel())
    assert chosen.owner is None
    assert chosen.inner is None


@root_only
def test_where_namespaces_are_forbidden_a_copy_runs_and_stays_the_choice(
    private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "namespaces_work", lambda _: False)
    with Postgres(private) as server:
        assert asyncio.run(_value(server.url)) == 7
        assert not (private / "postgres" / "data").exists()
    monkeypatch.undo()
    with Postgres(private) as again:
        assert asyncio.run(_value(again.url)) == 7
        assert not (private / "postgres" / "data").exists()


@root_only
def test_a_folder_of_somebody_else_is_not_used_for_the_copy(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = reachable_copy(private / "postgres")
    target.mkdir()
    os.chown(target, 65534, -1)
    monkeypatch.setattr(identity, "namespaces_work", lambda _: False)
    with pytest.raises(identity.ServerFailed, match="belongs to somebody else"):
        choose_identity(private / "postgres", Postgres.wheel())


@root_only
def test_the_owner_of_existing_data_decides(private: Path) -> None:
    data = private / "postgres" / "data"
    data.mkdir(parents=True)
    chosen = choose_identity(private / "postgres", Postgres.wheel())
    assert chosen.owner is None
    assert chosen.inner is not None
    os.chown(data, 65534, -1)
    chosen = choose_identity(private / "postgres", Postgres.wheel())
    assert chosen.owner is not None
    assert chosen.owner.pw_uid == 65534
