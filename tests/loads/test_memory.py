"""The memory run in small: what is remembered, and for how long, is counted; the full run is `-m loadtests.memory`."""

from redis import Redis

from atp.bench.ledger.driving import Server
from atp.ledger import library
from loadtests.memory import BATCH, Found, measure


def small(url: str, namespace: str) -> Found:
    with Redis.from_url(url, protocol=2) as redis:
        redis.execute_command("FUNCTION", "LOAD", "REPLACE", library.source()[1])
        return measure(Server(redis), 2_000, 1_000, lambda phase, done, total: None, namespace)


def counts(found: Found, phase: str, name: str) -> list[int]:
    return [getattr(sample, name) for sample in found.samples if sample.phase == phase]


def test_what_the_ledger_remembers_is_bounded(valkey: str, namespace: str) -> None:
    found = small(valkey, namespace)
    verdicts = {verdict.what: verdict for verdict in found.verdicts if "MB" not in verdict.what}
    assert {what for what, verdict in verdicts.items() if not verdict.ok} == set()
    refusals = counts(found, "refused", "refusals")
    assert max(refusals) == 400  # of 2,000 in ten minutes: those of two minutes at most
    assert min(counts(found, "ended", "refusals")) == 0
    assert max(counts(found, "ended", "whole")) == BATCH  # a batch comes every five hours, a whole record stays 15 min
    tombstones = counts(found, "ended", "tombstones")
    assert tombstones == sorted(tombstones)
    assert max(tombstones) == 400  # of 1,000 in two days: those of one
    last = found.samples[-1]
    assert (last.phase, last.whole, last.tombstones) == ("at rest", 0, 0)
