"""A full snapshot that would empty too much: a person reads the figures and says accept or discard (R13)."""

import pytest

from atp.domain.commands import Command, Level
from atp.domain.entries import ExceptionResolved
from atp.domain.snapshots import SnapshotDecide, SnapshotPart
from atp.journal import Journal

from .conftest import assert_problem, served
from .test_exception_routes import journal, journal_all  # noqa: F401 - the fixture
from .test_retention import drain

pytestmark = pytest.mark.anyio


def parked(id: str, version: int, seq: int = 0, at: str = "DC1") -> list[Command]:
    """A snapshot that names nothing, up to where it waits."""
    told = SnapshotPart("wms", id, "sequence", (0, version), "", 0, 1, 1, 7, True, [at], 0, "", True, "x")
    return [SnapshotDecide(seq, "counted", [(at, 10, 9)], "", "x")] if seq else [told]


@pytest.mark.parametrize("word", ["accept", "discard"])
async def test_a_person_decides(valkey: str, namespace: str, journal: Journal, word: str) -> None:  # noqa: F811
    async with served(valkey, namespace, journal=journal) as api:
        await api.ledger.apply([Level("A", "DC1", "wms", 9, "sequence", (0, 1), "", 0, 0), *parked("S", 9)])
        (seq,) = (await api.ledger.snapshots.sweeps())[0]
        await api.ledger.apply(parked("S", 9, seq))
        await drain(api, journal)
        (found,) = (await api.send("GET", "/v1/exceptions?kind=snapshot-guard", key=api.admin)).json()["exceptions"]
        assert (found["source"], found["detail"]) == ("wms", {"detail": "S would zero 9 of 10 at DC1"})
        path = f"/v1/exceptions/{found['id']}/resolve"
        vague = await api.send("POST", path, key=api.admin, json={"reason": "fine"})
        assert_problem(vague, 400, "invalid-request")
        assert "accept or discard" in vague.json()["detail"]
        answer = await api.send("POST", path, key=api.admin, json={"reason": "season's end", "resolution": word})
        assert answer.status_code == 200, answer.text
        sweeps, _ = await api.ledger.snapshots.sweeps()
        assert [sweep.state for sweep in sweeps.values()] == (["sweeping"] if word == "accept" else [])
        entries = await api.ledger.read_entries(0, 0, 1_000)
        (ended,) = [e for e in entries if isinstance(e, ExceptionResolved) and e.kind == "snapshot-guard"]
        assert (ended.resolution, ended.reason, ended.client) == (word, "season's end", "operator")
        twice = await api.send("POST", path, key=api.admin, json={"reason": "too", "resolution": "accept"})
        assert_problem(twice, 404, "not-found")
        await journal_all(api, journal)
        again = await api.send("POST", path, key=api.admin, json={"reason": "too", "resolution": "accept"})
        assert again.json()["resolution"] == word


async def test_an_old_exception_does_not_decide_on_a_newer_snapshot(
    valkey: str,
    namespace: str,
    journal: Journal,  # noqa: F811
) -> None:
    async with served(valkey, namespace, journal=journal) as api:
        for id, version in (("S", 9), ("T", 10)):
            await api.ledger.apply(parked(id, version))
            seq = max((await api.ledger.snapshots.sweeps())[0])
            await api.ledger.apply(parked(id, version, seq))
            if id == "S":
                await drain(api, journal)
        (found,) = (await api.send("GET", "/v1/exceptions?kind=snapshot-guard", key=api.admin)).json()["exceptions"]
        body = {"reason": "season's end", "resolution": "accept"}
        answer = await api.send("POST", f"/v1/exceptions/{found['id']}/resolve", key=api.admin, json=body)
        assert_problem(answer, 404, "not-found")
        assert [sweep.state for sweep in (await api.ledger.snapshots.sweeps())[0].values()] == ["parked"]


async def test_each_exception_decides_on_its_own_snapshot(valkey: str, namespace: str, journal: Journal) -> None:  # noqa: F811
    """A source that exports place by place has one waiting at each of them."""
    async with served(valkey, namespace, journal=journal) as api:
        for id, version, at in (("S", 9, "DC1"), ("T", 10, "DC2")):
            await api.ledger.apply(parked(id, version, at=at))
            seq = max((await api.ledger.snapshots.sweeps())[0])
            await api.ledger.apply(parked(id, version, seq, at))
        await drain(api, journal)
        told = (await api.send("GET", "/v1/exceptions?kind=snapshot-guard", key=api.admin)).json()["exceptions"]
        path = {found["reservation"]: f"/v1/exceptions/{found['id']}/resolve" for found in told}
        for id, word in (("T", "discard"), ("S", "accept")):
            body = {"reason": "season's end", "resolution": word}
            answer = await api.send("POST", path[id], key=api.admin, json=body)
            assert answer.status_code == 200, answer.text
        (left,) = (await api.ledger.snapshots.sweeps())[0].values()
        assert (left.snapshot, left.state) == ("S", "sweeping")
