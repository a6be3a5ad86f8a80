"""Sources over HTTP: whose number counts, what silence does, cut-over in a running sale, restarts (R12, R14, R24)."""

import asyncio
from itertools import count
from random import Random
from typing import Any

import pytest

from atp.domain.commands import Command, Delta, Heartbeat, Level, PutPolicy
from atp.domain.entries import AnyEntry, AuthorityMoved, DeltaApplied, LevelSet
from atp.domain.ids import partition_of
from atp.domain.outcomes import Outcome
from atp.telemetry import exposition
from tests.support import wait_until_async

from .conftest import Api, assert_problem, served

pytestmark = pytest.mark.anyio

_versions = count(1)


def level(sku: str, source: str, quantity: int, location: str = "DC1") -> Level:
    return Level(sku, location, source, quantity, "sequence", (0, next(_versions)), "", 0, 1_763_719_200_000)


def delta(sku: str, source: str, quantity: int) -> Delta:
    version = next(_versions)
    return Delta(sku, "DC1", source, quantity, "sequence", (0, version), "", 0, 1_763_719_200_000, version)


async def told(api: Api, *commands: Command) -> None:
    assert {result.outcome for result in await api.ledger.apply(commands)} == {Outcome.APPLIED}


async def put(api: Api, path: str, body: Any, **headers: str) -> Any:
    return await api.send("PUT", f"/v1{path}", key=api.admin, json=body, headers=headers)


async def listed(api: Api, **roles: str) -> None:
    """DC1 with these sources, all of them known."""
    for source in roles:
        assert (await put(api, f"/sources/{source}", {"kind": "erp", "stale_after_seconds": 1})).status_code == 200
    sources = [{"source": source, "role": role} for source, role in roles.items()]
    assert (await put(api, "/locations/DC1", {"kind": "warehouse", "sources": sources})).status_code == 200


async def move(api: Api, to: str, location: str = "DC1", **headers: str) -> Any:
    path = f"/v1/locations/{location}/authority"
    return await api.send("POST", path, key=api.admin, json={"to": to}, headers=headers)


async def seen(api: Api, sku: str) -> Any:
    """The one location of the sku, explained."""
    got = (await api.send("GET", f"/v1/availability/{sku}?explain=true")).json()
    (location,), (explained,) = got["locations"], got["explain"]["locations"]
    assert explained["free"] == sum(term["quantity"] for term in explained["terms"])
    return got, location, explained


async def test_an_answer_lists_all_sources_of_a_location(api: Api) -> None:
    await listed(api, erp="authority", pos="adjuster", wms="fallback")
    await told(api, level("A", "erp", 10), level("A", "wms", 8), level("A", "other", 3))
    _, location, explained = await seen(api, "A")
    assert [(s["source"], s["role"]) for s in location["sources"]] == [
        ("erp", "authority"), ("pos", "adjuster"), ("wms", "fallback"), ("other", "shadow"),
    ]  # fmt: skip
    assert (location["sources"][0]["as_of"], location["sources"][1]["as_of"]) == ("2025-11-21T10:00:00.000Z", None)
    assert [(s["source"], s["role"], s["quantity"], s["free"]) for s in explained["other_sources"]] == [
        ("wms", "fallback", 8, 8), ("other", "shadow", 3, 3),
    ]  # fmt: skip


async def test_silence_is_shown_and_the_lower_number_is_sold(api: Api) -> None:
    await listed(api, erp="authority", wms="fallback")
    await told(api, Heartbeat("erp", "", 0), level("A", "erp", 10), level("A", "wms", 7))
    before = await api.send("GET", "/v1/availability/A")
    assert (before.json()["ats"], before.json()["stale"]) == (10, False)

    async def silent() -> bool:
        return (await api.ats("A")) == 7

    await wait_until_async(silent)
    got, location, explained = await seen(api, "A")
    assert got["stale"]
    assert location["on_fallback"]
    assert [(s["source"], s["role"], s.get("stale", False)) for s in location["sources"]] == [
        ("wms", "fallback", False), ("erp", "authority", True),
    ]  # fmt: skip
    assert explained["on_fallback"]
    assert [(t["source"], t["quantity"]) for t in explained["terms"]] == [("wms", 7)]
    (other,) = explained["other_sources"]
    assert (other["source"], other["role"], other["quantity"], other["free"]) == ("erp", "authority", 10, 10)
    unchanged = await api.send("GET", "/v1/availability/A", headers={"if-none-match": before.headers["etag"]})
    assert unchanged.status_code == 200
    await told(api, level("A", "erp", 9))
    got, location, explained = await seen(api, "A")
    assert (got["ats"], "on_fallback" in location, explained["on_fallback"]) == (9, False, False)


async def test_a_location_is_cut_over_once_per_key(api: Api) -> None:
    await listed(api, erp1="authority", erp2="shadow", wms="fallback")
    await told(api, level("A", "erp1", 10), level("A", "erp2", 12))
    held = await api.reserve("A", 4)
    first = await move(api, "erp2", **{"idempotency-key": "k1"})
    assert first.status_code == 200, first.text
    roles = [{"source": "erp2", "role": "authority"}, {"source": "erp1", "role": "shadow"}]
    assert first.json()["sources"] == [*roles, {"source": "wms", "role": "fallback"}]
    assert (await api.send("GET", "/v1/locations/DC1", key=api.admin)).json() == first.json()
    assert await api.ats("A") == 8
    _, _, explained = await seen(api, "A")
    assert [(t["term"], t.get("source", ""), t["quantity"]) for t in explained["terms"]] == [
        ("level", "erp2", 12), ("held", "", -4),
    ]  # fmt: skip
    (other,) = explained["other_sources"]
    assert (other["source"], other["role"], other["quantity"], other["free"]) == ("erp1", "shadow", 10, 6)
    assert (await move(api, "erp1", **{"idempotency-key": "k2"})).status_code == 200
    again = await move(api, "erp2", **{"idempotency-key": "k1"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json()["sources"][0] == {"source": "erp1", "role": "authority"}
    assert_problem(await move(api, "wms", **{"idempotency-key": "k1"}), 422, "idempotency-key-reused")
    same = await move(api, "erp1")
    assert (same.status_code, same.headers["etag"]) == (200, again.headers["etag"])
    assert held.status_code == 201


async def test_a_cut_over_that_cannot_be_is_refused(api: Api) -> None:
    assert_problem(await move(api, "erp2"), 404, "not-found")
    await listed(api, erp1="authority", erp2="shadow")
    assert "never heard" not in (await move(api, "nobody")).json()["title"]
    assert_problem(await move(api, "nobody"), 404, "not-found")
    assert_problem(await move(api, "erp2", **{"if-match": '"1"'}), 412, "version-mismatch")
    assert_problem(await move(api, "a\x00"), 400, "invalid-request")
    assert_problem(await move(api, "erp2", **{"idempotency-key": ""}), 400, "idempotency-key-missing")
    tag = (await api.send("GET", "/v1/locations/DC1", key=api.admin)).headers["etag"]
    assert (await move(api, "erp2", **{"if-match": tag})).status_code == 200


@pytest.mark.parametrize(
    ("sources", "pointer"),
    [
        ([("a", "authority"), ("b", "authority")], "/sources"),
        ([("a", "authority"), ("b", "fallback"), ("c", "fallback")], "/sources"),
        ([("a", "authority"), ("a", "shadow")], "/sources/1/source"),
        ([("a", "adjuster")], "/sources/0/role"),
        ([("a", "shadow"), ("b", "fallback")], "/sources/1/role"),
        ([("a", "boss")], "/sources/0/role"),
    ],
)
async def test_a_list_of_sources_that_contradicts_itself_is_refused(api: Api, sources: Any, pointer: str) -> None:
    body = {"kind": "store", "sources": [{"source": source, "role": role} for source, role in sources]}
    problem = assert_problem(await put(api, "/locations/DC1", body), 400, "invalid-request")
    assert problem["errors"][0]["pointer"] == pointer


async def restart(api: Api, source: str, key: str) -> Any:
    path = f"/v1/sources/{source}/restart"
    return await api.send("POST", path, key=api.admin, headers={"idempotency-key": key})


async def test_a_source_begins_anew_once_per_key(api: Api) -> None:
    await api.stock("A", 10)
    assert_problem(await restart(api, "nobody", "k1"), 404, "not-found")
    first = await restart(api, "wms", "k1")
    assert (first.status_code, first.json()) == (200, {"id": "wms", "generation": 2})
    again = await restart(api, "wms", "k1")
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    (result,) = await api.ledger.apply([Level("A", "DC1", "wms", 4, "sequence", (0, 0), "", 0, 0)])
    assert (result.outcome, await api.ats("A")) == (Outcome.APPLIED, 4)


async def test_restart_and_cut_over_reach_every_partition(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, partitions=2) as api:
        skus = [next(f"S{n}" for n in range(99) if partition_of(f"S{n}", 2) == p) for p in range(2)]
        await listed(api, erp1="authority", erp2="shadow")
        for sku in skus:
            await told(api, level(sku, "erp1", 10), level(sku, "erp2", 12))
        assert (await move(api, "erp2")).status_code == 200
        assert [await api.ats(sku) for sku in skus] == [12, 12]
        await told(api, level(skus[1], "late", 1))
        for generation in (2, 3):
            assert (await restart(api, "late", f"k{generation}")).json()["generation"] == generation
        assert [known.generation for known in await api.ledger.sources.known("late") if known] == [3, 3]
        oldest = Level(skus[1], "DC1", "late", 4, "sequence", (0, 0), "", 0, 0)
        assert (await api.ledger.apply([oldest]))[0].outcome is Outcome.APPLIED


async def test_a_source_is_heard_by_all_partitions(valkey: str, namespace: str) -> None:
    async with served(valkey, namespace, partitions=2) as api:
        sku = next(f"S{n}" for n in range(99) if partition_of(f"S{n}", 2) == 1)
        await listed(api, erp="authority")
        await told(api, level(sku, "erp", 10))
        assert all(known and known.last_heard and not known.beats for known in await api.ledger.sources.known("erp"))
        await told(api, Heartbeat("erp", "", 0))
        assert all(known and known.beats for known in await api.ledger.sources.known("erp"))


async def test_positions_are_gone_through_after_a_cut_over(api: Api) -> None:
    await listed(api, erp1="authority", erp2="shadow")
    await api.ledger.put_policy(PutPolicy("location", "DC1\x7f", '{"kind":"store"}'))
    skus = [f"S{n}" for n in range(600)]
    for start in range(0, len(skus), 100):
        some = skus[start : start + 100]
        await told(api, *(level(sku, "erp1", 10) for sku in some), *(level(sku, "erp2", 3) for sku in some))
    await told(api, level("S0", "erp1", 0, "DC1\x7f"))
    for sku in ("S7", "S599"):
        assert (await api.reserve(sku, 8)).status_code == 201
    assert (await move(api, "erp2")).status_code == 200

    async def found() -> bool:
        return set(await api.ledger.open_shortages(0)) == {("S7", "DC1"), ("S599", "DC1")}

    await wait_until_async(found)
    shortage = await api.ledger.shortage(0, "S7", "DC1")
    assert shortage
    assert shortage.short_by == 5


async def test_sources_have_gauges(api: Api) -> None:
    await told(api, PutPolicy("location", "DC1", '{"kind":"store"}'), level("A", "gauged", 10))
    await api.ledger.sources.look()
    text = exposition()[0].decode()
    age = next(line for line in text.splitlines() if line.startswith('atp_source_age_seconds{source="gauged"}'))
    lag = next(line for line in text.splitlines() if line.startswith('atp_source_lag_seconds{source="gauged"}'))
    assert 0 <= float(age.split()[1]) < 60
    assert float(lag.split()[1]) > 0


class Sale:
    """Two ERPs that see the same movements, each with its own idea of the count, and buyers."""

    def __init__(self, api: Api) -> None:
        self.api, self.skus = api, [f"S{n}" for n in range(5)]
        self.offset = {sku: n - 2 for n, sku in enumerate(self.skus)}  # what erp2 counts beyond erp1
        self.running = True

    async def open(self) -> None:
        await listed(self.api, erp1="authority", erp2="shadow")
        for sku in self.skus:
            await told(self.api, level(sku, "erp1", 400), level(sku, "erp2", 400 + self.offset[sku]))

    async def feed(self) -> None:
        draw = Random(1)
        while self.running:
            sku, units = draw.choice(self.skus), draw.choice([-1, 1, 2])
            await told(self.api, *(delta(sku, source, units) for source in draw.sample(["erp1", "erp2"], 2)))

    async def buy(self, seed: int) -> None:
        draw = Random(seed)
        while self.running:
            answer = await self.api.reserve(draw.choice(self.skus), draw.choice([1, 1, 2]))
            assert answer.status_code == 201, answer.text
            if draw.random() < 0.5:
                what = draw.choice(["confirm", "release"])
                changed = await self.api.send("POST", f"/v1/reservations/{answer.json()['id']}/{what}")
                assert changed.status_code == 200


async def test_a_cut_over_in_a_running_sale_jumps_by_nothing_but_the_sources_difference(api: Api) -> None:
    sale = Sale(api)
    await sale.open()
    working = [asyncio.create_task(work) for work in (sale.feed(), sale.buy(2), sale.buy(3))]
    start = api.ledger.position(0)

    async def grown(by: int) -> None:
        begin = api.ledger.position(0)

        async def reached() -> bool:
            for task in working:
                if task.done():
                    await task
            return api.ledger.position(0) >= begin + by

        await wait_until_async(reached)

    await grown(150)
    assert (await move(api, "erp2")).status_code == 200
    await grown(150)
    sale.running = False
    await asyncio.gather(*working)
    entries = await api.ledger.read_entries(0, 0, 100_000)
    moved = follow(entries, sale)
    assert start < moved < entries[-1].seq
    for sku in sale.skus:
        got, location, explained = await seen(api, sku)
        (other,) = explained["other_sources"]
        counted = sum(term["quantity"] for term in explained["terms"] if term["term"] in ("level", "deltas"))
        assert {term["source"] for term in explained["terms"] if term["term"] in ("level", "deltas")} == {"erp2"}
        assert (other["source"], other["role"]) == ("erp1", "shadow")
        assert counted - other["quantity"] == explained["free"] - other["free"] == sale.offset[sku]
        assert got["ats"] == explained["free"] == location["on_hand"] - location["held"] - location["committed"]


def follow(entries: list[AnyEntry], sale: Sale) -> int:
    """Every balance ever written stands on the number of the source that counted then; the seq of the cut-over."""
    numbers: dict[tuple[str, str], int] = {}
    before: dict[str, int] = {}
    counting, moved = "erp1", 0
    for entry in entries:
        if isinstance(entry, AuthorityMoved):
            assert (entry.location, entry.before, entry.source, moved) == ("DC1", "erp1", "erp2", 0)
            counting, moved = "erp2", entry.seq
            for sku in sale.skus:  # no seq lies between: both feeds go on, each its own way
                assert abs(numbers[sku, "erp2"] - numbers[sku, "erp1"] - sale.offset[sku]) <= 2
        if isinstance(entry, LevelSet | DeltaApplied):
            numbers[entry.sku, entry.source] = entry.number
        for balance in getattr(entry, "balances", ()):
            assert balance.number == numbers.get((balance.sku, counting), 0)
            promised = balance.held + balance.committed
            if not isinstance(entry, LevelSet | DeltaApplied):
                assert abs(promised - before.get(balance.sku, 0)) <= 2  # one buyer's step
            before[balance.sku] = promised
    return moved
