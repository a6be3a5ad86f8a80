"""No refusal and no error leaves a part of a change behind.

Lua has no rollback, so the library decides everything before it writes anything (R26). Here its calls to the server
are recorded, and fail one after the other; the keys of the partition are compared as a whole, not by what the laws
say of them.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from atp.domain.commands import Command
from atp.domain.entries import (
    Acknowledged,
    AnyEntry,
    CampaignClosed,
    CampaignOpened,
    ExceptionRaised,
    Expired,
    FallbackTaken,
    SourceHeard,
    SourceSeen,
    SourceSilent,
)
from atp.domain.outcomes import Outcome
from atp.domain.results import Result
from atp.ledger import keys, library
from atp.ledger.connection import ServerRefused
from tests.scenarios import altered, every
from tests.scenarios.laws import LuaLaw
from tests.scenarios.table import Table
from tests.scenarios.test_random import LawsAgree

#: Writes that cannot fail once the key has its type and the arguments their form, and the type each needs.
WRITES = {
    "XADD": "stream", "HSET": "hash", "HDEL": "hash", "HINCRBY": "hash", "ZADD": "zset", "ZREM": "zset",
    "RPUSH": "list", "LPOP": "list", "UNLINK": "any", "DEL": "any",
}  # fmt: skip

#: What a refused command may change: the clock, the sender's session, the memory of refusals. Whatever a source says
#: tells that it is there.
CLOCK = {b"last_now", b"refused_gen", b"refused_since", b"next_silence", b"silence_from"}

#: What came due before a command is settled, a source's first word is kept, and what a stale level says of orders
#: counts (R39), whatever becomes of the command.
DUE = Acknowledged | Expired | CampaignOpened | CampaignClosed | SourceSilent | SourceHeard | FallbackTaken | SourceSeen

SPY = (
    "pack, unpack_one, call = cmsgpack.pack, cmsgpack.unpack, redis.call",
    """pack, unpack_one = cmsgpack.pack, cmsgpack.unpack
  spied = {}
  call = function(...)
    local arguments = { ... }
    for i, argument in ipairs(arguments) do arguments[i] = tostring(argument) end
    spied[#spied + 1] = arguments
    local writes = writing[arguments[1]]
    if fail_at > 0 and (#spied == fail_at or writes) then error('FAILPOINT') end
    return redis.call(...)
  end""",
)
SWITCHES = (
    "local pack, unpack_one, call\n",
    """local pack, unpack_one, call
local spied, fail_at, writing = {}, 0, { @WRITES@ }
redis.register_function('@LIBRARY@_fail_at', function(_, args) fail_at = tonumber(args[1]) end)
redis.register_function('@LIBRARY@_spied', function() return spied end)
""".replace("@LIBRARY@", altered.NAME).replace("@WRITES@", ", ".join(f"{name} = true" for name in WRITES)),
)
READ_ALL = """
local read = {
  hash = function(key) return redis.call('HGETALL', key) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  list = function(key) return redis.call('LRANGE', key, 0, -1) end,
  stream = function(key) return redis.call('XRANGE', key, '-', '+') end,
  string = function(key) return redis.call('GET', key) end,
}
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local type = redis.call('TYPE', key).ok
  found[#found + 1] = { key, type, read[type](key) }
end
return found
"""


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library, with its calls recorded and ready to fail."""
    altered.use(monkeypatch, SWITCHES, SPY)


def everything(law: LuaLaw) -> dict[str, Any]:
    """All keys of the partition without their prefix, by type: hashes as dicts, for their order means nothing."""
    found = {}
    for key, type_, value in law._ask("EVAL", READ_ALL, 0, law._prefix.replace("{", "[{]") + "*"):
        if type_ == b"hash":
            value = dict(zip(value[::2], value[1::2], strict=True))
        found[key.decode().removeprefix(law._prefix)] = (type_.decode(), value)
    return found


def fail_at(law: LuaLaw, call: int) -> None:
    """Batches fail from here on at this call, or at their first write if that comes before; 0 ends it."""
    law._ask("FCALL", library.function("fail_at"), 0, call)


def calls_of(law: LuaLaw) -> list[list[str]]:
    """What the last batch asked of the server: command, key without prefix, arguments."""
    found = law._ask("FCALL", library.function("spied"), 0)
    return [[word.decode("utf-8", "replace").removeprefix(law._prefix) for word in words] for words in found]


class Interrupted(LawsAgree):
    """Before every batch, the same batch fails at its first call, at its second, and so on to its first write."""

    struck = 0

    def batch(self, commands: list[Command], *more: Any, **named: Any) -> list[Result]:
        before, call = everything(self.lua), 0
        while True:
            call += 1
            fail_at(self.lua, call)
            with pytest.raises(ServerRefused, match="FAILPOINT"):
                self.lua.apply(commands, self.now, *more, **named)
            asked = calls_of(self.lua)
            assert everything(self.lua) == before, f"call {call}, {asked[-1][:2]}, left a change behind"
            if asked[-1][0] in WRITES:
                break
        fail_at(self.lua, 0)
        Interrupted.struck += call
        results = super().batch(commands, *more, **named)
        check_calls(calls_of(self.lua))
        return results


def check_calls(calls: list[list[str]]) -> set[tuple[str, str]]:
    """Reads, then writes that cannot fail, the entries first (R26). Returns (command, pattern of the key) written."""
    writing = [n for n, words in enumerate(calls) if words[0] in WRITES]
    told = [words[:2] for words in calls[writing[0] : writing[-1] + 1]]
    assert all(words[0] in WRITES for words in told), f"something is asked between the writes: {told}"
    assert not any(words[0] == "XADD" for words in told[1:]), "entries are written after something else"
    found = set()
    for words in (calls[n] for n in writing):
        pattern = pattern_of(words[1])
        assert WRITES[words[0]] in ("any", pattern.type), f"{words[0]} to {words[1]}, which is a {pattern.type}"
        if words[0] == "HSET":
            assert len(words) % 2 == 0
        if words[0] == "ZADD":
            assert all(float(score) >= 0 for score in words[2::2])
        found.add((words[0], pattern.pattern))
    return found


def pattern_of(key: str) -> keys.Key:
    for entry in keys.TABLE:
        if key == entry.pattern or (entry.pattern.endswith("*") and key.startswith(entry.pattern[:-1])):
            return entry
    raise AssertionError(f"{key!r} is not in keys.TABLE")


@pytest.mark.parametrize("seed", range(4))
def test_an_error_before_the_first_write_changes_nothing(
    valkey: str, loop: asyncio.AbstractEventLoop, spied: None, seed: int
) -> None:
    struck = Interrupted.struck
    every.live(every.machine(valkey, loop, Interrupted), seed, 15)
    assert Interrupted.struck > struck + 50


def test_entries_that_the_outbox_refuses_change_nothing(
    valkey: str, namespace: str, loop: asyncio.AbstractEventLoop
) -> None:
    """An outbox ahead of the ledger's seq is a ledger that lost something (R26)."""
    law = LuaLaw.open(loop, valkey, namespace)
    table = Table(law).run(every.PLACES + "level A@DC1 9 v1\nreserve r1 A:4 ttl 1\nreserve r2 A:1")
    law._ask("XADD", law._prefix + "outbox", "1000-0", "f", "1", "e", b"\x90")
    before = everything(law)
    for line in (
        "level A@DC1 9 v2",
        "delta A@DC1 1 v3 e1",
        "reserve r3 A:1",
        "confirm r2",
        "cursor 9",
        "location NEW {}",
    ):
        with pytest.raises(ServerRefused, match="XADD"):
            table.line(line)
        assert everything(law) == before, line
    with pytest.raises(ServerRefused, match="XADD"):
        table.line("wait 60")
    assert everything(law) == before
    law.close()


#: Outcomes of commands that take effect; of these two only in part.
EFFECTIVE = {Outcome.APPLIED, Outcome.AWAITED, Outcome.ORPHANED}


class Watched(LuaLaw):
    """Compares all keys around every command that is not applied."""

    refused: set[Outcome]
    known: dict[str, Any] | None = None  # all keys after the last command: nothing else changes them

    def apply(self, commands: Sequence[Command], *more: Any, **named: Any) -> tuple[list[Result], list[AnyEntry]]:
        if len(commands) != 1:
            self.known = None
            return super().apply(commands, *more, **named)
        before = everything(self) if self.known is None else self.known
        self.known = None
        results, entries = super().apply(commands, *more, **named)
        self.known = everything(self)
        if results[0].outcome not in EFFECTIVE:
            Watched.refused.add(results[0].outcome)
            if any(isinstance(entry, DUE) for entry in entries):
                return results, entries
            told = [entry for entry in entries if isinstance(entry, ExceptionRaised)]
            if told:  # of an event that changes nothing, but people should know of it
                assert results[0].outcome in (Outcome.STALE, Outcome.LATE_DELTA)
                assert {entry.kind for entry in told} <= {"source-rewound", "late-delta"}
            else:
                assert not entries, f"{results[0].outcome.name} left entries"
                changed = differences(before, self.known)
                assert not changed, f"{results[0].outcome.name} changed {changed}"
        return results, entries


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Keys and fields that differ beyond what a refusal may change."""
    changed = []
    for key in before.keys() | after.keys():
        if before.get(key) == after.get(key) or key in ("sessions", "source") or key.startswith("refused:"):
            continue
        if key == "meta":
            old, new = before[key][1], after[key][1]
            changed += [f"meta {field}" for field in old.keys() | new.keys() if old.get(field) != new.get(field)]
            continue
        changed.append(key)
    return [name for name in changed if name.removeprefix("meta b'").rstrip("'").encode() not in CLOCK]


def test_a_refused_command_changes_nothing_but_the_memory_of_it(valkey: str, loop: asyncio.AbstractEventLoop) -> None:
    Watched.refused = set()
    for name, scenario in every.scenarios().items():
        try:
            every.play(scenario, valkey, loop, Watched)
        except AssertionError as problem:
            raise AssertionError(f"{name}: {problem}") from None
    assert Watched.refused == set(Outcome) - EFFECTIVE, "every outcome needs a scenario"


class Recorded(LuaLaw):
    """Collects what batches write."""

    written: set[tuple[str, str]]

    def apply(self, commands: Sequence[Command], *more: Any, **named: Any) -> tuple[list[Result], list[AnyEntry]]:
        answer = super().apply(commands, *more, **named)
        Recorded.written |= check_calls(calls_of(self))
        return answer

    def check_replay(self) -> None:
        super().check_replay()
        for key, (type_, _) in everything(self).items():
            assert pattern_of(key).type == type_


def test_writes_are_of_kinds_that_cannot_fail(valkey: str, loop: asyncio.AbstractEventLoop, spied: None) -> None:
    Recorded.written = set()
    for scenario in every.scenarios().values():
        every.play(scenario, valkey, loop, Recorded)
    touched = {pattern for _, pattern in Recorded.written}
    by_others = {
        "lease:*",
        "quota",
        "room:*",
        "early:*",
        "witness",
        "rebuild",
        "progress",
        "frozen:*",
    }  # not written by batches
    assert touched == {entry.pattern for entry in keys.TABLE} - by_others
    assert {("XADD", "outbox"), ("HDEL", "recent:*"), ("ZADD", "due"), ("ZREM", "due"), ("UNLINK", "refused:*")} <= (
        Recorded.written
    )


def test_a_write_among_the_decisions_is_noticed(
    valkey: str, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = (
        "function inclusion.number_record(p, source)\n",
        "function inclusion.number_record(p, source)\n  call('HSET', 'x', 'y', 1)\n",
    )
    altered.use(monkeypatch, SWITCHES, SPY, early)
    with pytest.raises(AssertionError, match=r"'x' is not in|between the writes|after something else"):
        every.live(every.machine(valkey, loop, Interrupted), 1, 15)
