"""Repairs: findings become an exception each, once; and with repairs, commands that mend them, journaled like all."""

from collections.abc import Collection, Mapping, Sequence
from typing import get_args

from atp.check.findings import Finding, Subject
from atp.check.partition import Partition
from atp.domain.commands import FollowHome, PutPolicy, Raise, Resolve
from atp.domain.exceptions import Kind, about, subject
from atp.domain.outcomes import Outcome
from atp.domain.records import Line, Reservation
from atp.domain.repair_commands import Correction, Counter, PutBack, Repair

#: Who the entries say it was.
CLIENT = "check"

#: Corrections of one command; the rest is found by the next run.
CORRECTIONS_MAX = 200

#: Findings that the text of an exception shows.
_SHOWN = 4

#: Counters that a command can correct; what differs from the journal alone is for a person.
_COUNTERS = get_args(Counter)

#: Policy objects whose put also begins a count anew, or names skus.
_NOT_PUT_AGAIN = ("item-channel", "campaign")


async def raise_all(at: Partition, findings: Sequence[Finding]) -> None:
    """Tell people of each subject, unless they are told already, and note by which entry."""
    for of, group in _by_subject(findings).items():
        shown = "; ".join(finding.evidence for finding in group[:_SHOWN])
        detail = shown if len(group) <= _SHOWN else f"{shown}; and {len(group) - _SHOWN} more"
        await at.ledger.submit_to(at.number, Raise(Kind.DRIFT, *of, detail, at.cause))
        _, ((raised,),) = await at.look([("HMGET", "exception", subject(Kind.DRIFT, *of))])
        for finding in group:
            finding.raised = int(raised or 0)


async def repair_all(at: Partition, findings: Sequence[Finding], lost: Mapping[str, Reservation | None]) -> None:
    """Mend what can be mended without a guess. Raises LedgerError; the next run looks at what had no answer."""
    for (sku, location, source, reservation), group in _by_subject(findings).items():
        counters = [x for x in group if x.what in _COUNTERS]
        if reservation:
            await _put_back(at, reservation, group, lost)
        elif counters and group[0].raised:
            corrections = [Correction(x.what, x.name, x.by, x.value) for x in counters[:CORRECTIONS_MAX]]  # pyright: ignore[reportArgumentType]
            command = Repair(sku, location, source, group[0].raised, corrections, CLIENT, at.cause)
            result = await at.ledger.submit_to(at.number, command)
            for finding in counters[:CORRECTIONS_MAX]:
                finding.repaired = result.outcome is Outcome.APPLIED
                if finding.repaired and finding.what == "exception":
                    await _tell_again(at, finding)
        for finding in group:
            if finding.what == "policy":
                await _put_policy(at, finding)


async def _tell_again(at: Partition, finding: Finding) -> None:
    """What the journal lost of an exception, that it was raised or that it ended: the ledger knew, and says it anew."""
    kind, *rest = about(finding.name)
    of = (rest[0], rest[1], rest[2], rest[3])
    raised = int(finding.found or finding.expected)
    if not await at.is_old(raised):
        return
    if finding.found:
        detail = f"raised by the entry {at.number}:{raised}, which the journal lost"
        await at.ledger.submit_to(at.number, Raise(kind, *of, detail, at.cause))
    else:
        await at.ledger.submit_to(at.number, Resolve(kind, *of, raised, "over", "", CLIENT, at.cause))


async def _put_back(at: Partition, id: str, group: Sequence[Finding], lost: Mapping[str, Reservation | None]) -> None:
    """A record that only ends in the journal is not ended here: units would be free on the word of one side."""
    records = [x for x in group if x.what == "record"]
    if not group[0].raised or (records and id not in lost) or group[0].what == "leg":
        return
    orders = [x.name for x in group if x.what == "order" and x.found] or [""]
    record = lost[id] if records else None
    kept = [record] if record is not None else []
    result = await at.ledger.submit_to(at.number, PutBack(id, orders[0], kept, group[0].raised, CLIENT, at.cause))
    for finding in group:
        other = finding.what == "order" and finding.found and finding.name != orders[0]
        finding.repaired = result.outcome is Outcome.APPLIED and not other


async def follow_home(at: Partition, findings: Sequence[Finding], homes: Mapping[str, tuple[int, list[Line]]]) -> None:
    """Tell legs what their records at home say, as it should have been told."""
    for finding in findings:
        seq, lines = homes[finding.reservation]
        result = await at.ledger.submit_to(at.number, FollowHome(finding.reservation, seq, lines))
        finding.repaired = result.outcome is Outcome.APPLIED
        if finding.repaired:
            await _end(at, finding.subject, finding.raised, "repaired")


async def _put_policy(at: Partition, finding: Finding) -> None:
    kind, _, id = finding.name.partition("/")
    there = (await at.journal.checking.policies([(kind, id)])).get((kind, id), (0, ""))
    here = await at.ledger.policy(kind, id)
    body = here.body if here is not None and here.version > there[0] else there[1]
    if kind in _NOT_PUT_AGAIN or not body:
        return
    result = await at.ledger.put_policy(PutPolicy(kind, id, body, client=CLIENT, cause=at.cause))
    finding.repaired = result.outcome.accepted
    if finding.repaired:
        await _end(at, finding.subject, finding.raised, "repaired")


async def end_others(at: Partition, begun: int, found: Collection[Subject]) -> None:
    """End what was told before the seq ``begun`` and was not found again: somebody mended it in another way."""
    async for _, name, raised in at.pages("exception"):
        kind, *subject = about(name.decode())
        known = (subject[0], subject[1], subject[2], subject[3])
        if kind == Kind.DRIFT and int(raised) <= begun and known not in found and not at.is_unsettled(known):
            await _end(at, known, int(raised), "over")


async def _end(at: Partition, of: Subject, raised: int, resolution: str) -> None:
    await at.ledger.submit_to(at.number, Resolve(Kind.DRIFT, *of, raised, resolution, "", CLIENT, at.cause))


def _by_subject(findings: Sequence[Finding]) -> dict[Subject, list[Finding]]:
    found: dict[Subject, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.subject, []).append(finding)
    return found
