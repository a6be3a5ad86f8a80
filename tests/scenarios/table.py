"""Scenario tables: a command, its outcome, and the balances after it, one per line, run on either law.

    location DC1 {"kind":"warehouse"}            put a policy: location, item or source
    level A@DC1 10 v1 [by erp] [pos 7] [time] [at 90]       delta A@DC1 -2 v3 e9 [by erp] [pos 7]       cursor 7
    heartbeat erp [pos 7] [quiet]                quiet: only heard of; restart erp [key 5] [to 3]: it begins anew
    cutover DC1 erp [key 5] [body 1] [if 3] {…}  another authority, with the location's policy as it is then
    recheck DC1 A B [last] [of 9]                are promises covered by the number that counts now?
    touch A@DC1 [v5] [by erp]                    its number is another one; touch A: everywhere; old A@DC1 wms v5, or no
    silent erp / heard erp                       what the ledger thinks of a source
    status A@DC1 3 v1 [as level]                 units that cannot be sold
    incoming A@DC1 po1 10 d5 v1 [as level]       a delivery on the fifth day from the start; received A@DC1 po1 10 v1 e1
    overdue A@DC1 po1                            somebody found it so
    reserve r1 A:4@DC1/d5                        needed by that day; d0 is the day of the start
    reserve r1 A:4@DC1 B:1 [ttl 5] [as 2]        lines are numbered 1, 2, …; `as` is the request's fingerprint
        [partial] [whole] [dry] [replaces r0] [for c-1]     partial grants, no split, a quote, a customer
        [via app] [in bf] [with t1]                  channel (web), campaign, ticket; a line also A:1%east, a group
    put 7 location DC1 {…}     put 7 resolve …     under a call; copy 9 location DC1 {…}: another partition's version
    channel web {…}     share A web {"protection":5}     campaign bf +0 +60 A:10,B:5 {…}     window in seconds from now
    recall r1 [as 2]                             what became of a reserve with this fingerprint
    confirm r1 [1:2] [key 5] [body 1] [order X] [reacquire [journaled [stale]]]   release r1 [1:2] [of all] [key 5]
    extend r1 60 [key 5]     fulfil r1 [1:2] [shipment 7]        transfer r1 1:2 DC1 DC2
    acknowledge r1 [1:2] [by erp v5 [time]]      without a source: the location's authority, from its next level on
    adjust A@DC1 -2 [key 5] [body 1]             a person's correction of the authority's number
    affect A@DC1 r3 r2 [last] [after 0] [of 9]   the next page of its shortage, after another place, of another one
    shortage A@DC1 4 report 2 open               units short when found, policy, units found, open or done; or: none
    journal                                      the journal has everything so far; gone r1: only a tombstone is left
    repair A@DC1 held 2 pegged:d3 -1 [of 9]      putback r1 [journaled] [of 9] [order X]      repair_words.py
    raise drift A@DC1      resolve drift A@DC1 [of 9]        an exception; of an older one, by its seq
    fulfilled X A:3@DC1 B:1 v5 e7 [by oms] [shipment 9] [closed] [pos 7] [part stock]     what a source says of order
        X, or of reservation `r:r1`; likewise: acknowledged, cancelled, where A:1@DC1! was not on the shelf.
        waits X 2: events; names X 1: reservations
    returned A@DC1 3 v4 e2 [unfit] [by pos]      units that came back; level … [includes X,Y]: orders that it counts
    booked A@DC1 9 v2 r1,r2 [as level]           reservations that a level of this version is net of
    raised orphan-order A DC1 wms X              an exception is open, - is no sku; raised none: no one is
    open, take, decide, abort, drop, follow, followed                        legs_words.py
    part, begin, taken, zero, sweep, …           snapshot_words.py
    wait 5                                       seconds, while somebody sweeps; outage 60: seconds without anybody
    moved 0/60/90                                outages still remembered; expires r1 88: the last answer's deadline
    pass 5                                       seconds up to the next command; settle 1: due holds settled by a batch
    full                                         from here on memory is full, until: full off
    sender -90                                   from here on the sender's clock is this far ahead, in seconds

``-> OUTCOME text`` ends a command; the text must be its detail, or "replayed". ``= A@DC1 6 4 0`` asks for
free, held and committed; ``atp A@DC1 6 d5 10 d9 16`` for what may be promised now and for days, ``A`` over all places;
``= r1 committed 1:0/4`` for the state and held/committed of each line; ``ats A web [bf] 5`` for what a reserve would be
granted, ``ats A web/d5 9`` for a day.
"""

import json
import shlex
from copy import deepcopy
from datetime import UTC, datetime
from zlib import crc32

from msgspec import structs

from atp.domain import commands as c
from atp.domain.exceptions import subject
from atp.domain.order_commands import Include, OrderLine
from atp.domain.outcomes import Outcome
from atp.domain.projection import Day, lowest
from atp.domain.records import Asked, Reservation, split_version
from atp.domain.results import Result
from atp.domain.sellers import item_channel
from tests.scenarios import legs_words, repair_words, snapshot_words, sources_words
from tests.scenarios.laws import START_MS, LuaLaw, RulesLaw, records_in

_VALUED = (
    "by", "pos", "at", "ttl", "as", "as-client", "key", "body", "order", "of", "measure", "replaces", "for", "shipment",
    "after", "via", "in", "with", "attempt", "call", "seq", "includes",
    "full", "gen", "part",
)  # fmt: skip
_FLAGS = ("time", "partial", "whole", "dry", "reacquire", "last", "journaled", "stale", "short", "closed", "unfit")


def day_of(text: str) -> tuple[str, int]:
    """The date and the start, ms, of a day counted from that of the start."""
    starts_at = (START_MS // 86_400_000 + int(text[1:])) * 86_400_000
    return datetime.fromtimestamp(starts_at / 1000, UTC).date().isoformat(), starts_at


def id_of(name: str) -> str:
    """Names stand for ids in one bucket; `b2:name` is the same identity in another bucket."""
    bucket, _, name = name.rpartition(":")
    return f"{bucket or 'b1'}:{name}"


class Table:
    """Runs one table on one law; ``entries`` collects everything that was logged."""

    def __init__(self, law: RulesLaw | LuaLaw) -> None:
        self.law = law
        self.now = START_MS
        self.settle_max = 256
        self.sender = 0
        self.full = False
        self.changes = 0
        self.entries: list = []
        self.attempts: dict[str, int] = {}
        self.last = Result(Outcome.APPLIED)
        self.journaled: dict[str, Reservation] = {}  # as the journal has them

    def run(self, text: str) -> "Table":
        for line in filter(None, map(str.strip, text.splitlines())):
            try:
                self.line(line)
            except AssertionError as problem:
                raise AssertionError(f"{line}\n{problem}") from None
        return self

    def line(self, line: str) -> None:
        told, _, expected = line.partition("->")
        word, *rest = shlex.split(told, posix=False)
        if word == "=":
            self.check(rest)
        elif word == "wait":
            end = self.now + round(float(rest[0]) * 1000)
            self.sweep(end)
            self.now = end
            self.empty()
        elif word == "outage":
            self.now += round(float(rest[0]) * 1000)
            self.empty()
        elif word == "sender":
            self.sender = round(float(rest[0]) * 1000)
            self.empty()
        elif word == "shortage":
            open = self.law.dump()["shortages"].get(tuple(rest[0].split("@")))
            found = (
                ["none"] if open is None else [*map(str, (open[1], open[2], open[4])), "done" if open[6] else "open"]
            )
            assert found == rest[1:], f"found {' '.join(found)}"
        elif word == "full":
            self.full = rest != ["off"]
        elif word == "waits":
            found = len(self.law.dump()["orders"].get(rest[0], ([], [], []))[2])
            assert found == int(rest[1]), f"{found} events wait"
        elif word == "names":
            found = len(self.law.dump()["orders"].get(rest[0], ([], [], []))[0])
            assert found == int(rest[1]), f"it names {found}"
        elif word == "raised":
            wanted = "\x1f".join("" if part == "-" else part for part in rest)
            told = [subject.replace("\x1f", " ") for subject in self.law.dump()["exceptions"]]
            found = [subject for subject in told if not subject.startswith("source-unknown")]  # most tables put none
            assert (wanted.replace("\x1f", " ") in found) if rest != ["none"] else not found, f"raised are {found}"
        elif word == "ats":
            sku, channel, *campaign, expected = rest
            channel, _, day = channel.partition("/")
            asked = Asked(channel, *(campaign or [""]), date=day_of(day)[0] if day else "")
            total, _, promises = self.law.ats(sku, asked, self.now)
            total = promises[0][1] if day else total
            assert total == int(expected), f"ats is {total}"
        elif word == "atp":
            self.check_promises(rest)
        elif word == "gone":
            assert id_of(rest[0])[3:] not in self.law.dump()["reservations"], "the record is still whole"
        elif word == "old":
            place, source, version = rest
            sku, at = place.split("@")
            touched = self.law.dump()["positions"][sku, at][3][source][-1]
            found = f"v{touched[3]}" if touched else "no"
            assert found == version, f"it is {found}"
        elif word in ("silent", "heard"):
            assert self.law.dump()["sources"][rest[0]][5] == (word == "silent"), "it is not"
        elif word == "journal":
            self.law.trim(self.law.dump()["seq"])
        elif word == "pass":
            self.now += round(float(rest[0]) * 1000)
        elif word == "expires":
            assert self.last.reservation is not None
            found = self.last.reservation.id, self.last.reservation.expires_at - START_MS
            assert found == (id_of(rest[0]), round(float(rest[1]) * 1000)), f"found {found}"
        elif word == "moved":
            found = [tuple(at - START_MS for at in m) for m in self.law.dump()["moved"]]
            assert found == [tuple(round(float(x) * 1000) for x in m.split("/")) for m in rest], f"found {found}"
        elif word == "settle":
            self.settle_max = int(rest[0])
        elif word in snapshot_words.WORDS:
            snapshot_words.line(self, word, rest, expected.split())
        else:
            self.do(self.command(word, rest), expected.split())

    def apply(self, commands: list[c.Command]) -> tuple[list[Result], list]:
        results, entries = self.law.apply(commands, self.now, self.settle_max, self.sender, relief=self.full)
        self.journaled |= {record.id: deepcopy(record) for record in records_in(entries)}
        return results, entries

    def empty(self) -> None:
        """A batch without commands."""
        self.entries += self.apply([])[1]

    def sweep(self, end: int) -> None:
        """Settle what falls due so long before ``end`` that its being left would show an outage (R22)."""
        while True:
            state = self.law.dump()
            moved = [m for m in state["moved"] if any(m[0] < at <= m[1] for at in state["due"].values())]
            deadlines = [
                next((until for after, through, until in moved if after < at <= through), at)
                for at in state["due"].values()
            ]
            deadlines += [state["silence"][0]] if state["silence"][0] else []
            soon = [at for at in deadlines if self.now < at < end - 5_000]
            if not soon:
                return
            self.now = min(soon)
            self.empty()

    def do(self, command: c.Command, expected: list[str]) -> None:
        (self.last,), entries = self.apply([command])
        legs_words.note(self, command)
        self.entries += entries
        shown = [self.last.outcome.name]
        if self.last.replayed:
            shown.append("replayed")
        elif len(expected) > 1:
            shown.append(self.last.detail)
        assert shown == (expected or ["APPLIED"]), f"got {' '.join(shown)}"

    def command(self, word: str, rest: list[str]) -> c.Command:
        if word in ("reserve", "recall", "confirm", "release", "extend", "fulfil", "acknowledge", "transfer"):
            rest = [id_of(rest[0]), *rest[1:]]
        if word in legs_words.WORDS:
            return legs_words.command(self, word, id_of(rest[0]), *self.split(rest[1:]))
        if word in snapshot_words.SINGLE:
            return snapshot_words.command(self, word, rest)
        if word == "put":  # with a call: what was put under it is not put again
            return structs.replace(self.command(rest[1], rest[2:]), call=int(rest[0]))  # pyright: ignore
        if word == "copy":  # with the version that another partition gave it
            return structs.replace(self.command(rest[1], rest[2:]), version=int(rest[0]))
        if word == "share":
            return c.PutPolicy("item-channel", item_channel(rest[0], rest[1]), " ".join(rest[2:]) or "{}")
        if word == "campaign":
            return self.campaign(rest)
        if word in ("location", "item", "source", "channel", "location-group"):
            return c.PutPolicy(word, rest[0], " ".join(rest[1:]) or "{}")
        if word == "cursor":
            return c.Cursor("S", int(rest[0]))
        if word in sources_words.WORDS:
            return sources_words.command(self, word, rest)
        plain, named = self.split(rest)
        if word in repair_words.WORDS:
            return repair_words.command(self, word, plain, named)
        if word in ("fulfilled", "cancelled", "acknowledged"):
            return self.tell(word, plain, named)
        match word:
            case "returned":
                common = self.common(plain, named)
                return c.TakeBack(*common, crc32(plain[3].encode()), "unfit" not in named, named.get("order", ""), "e")
            case "overdue":
                sku, location = plain[0].split("@")
                return c.Overdue(sku, location, plain[1], "cause")
            case "booked":
                common = self.common(plain, named)
                return Include(*common, named.get("measure", ""), "", [id_of(name) for name in plain[3].split(",")])
            case "level" | "delta" | "status" | "incoming" | "received":
                return self.stock(word, plain, named)
            case "adjust":
                sku, location = plain[0].split("@")
                key, body = int(named.get("key", 1_000_000 + len(self.entries))), int(named.get("body", 1))
                return c.Adjust(sku, location, int(plain[1]), key, body, "counted", "manager", "cause")
            case "affect":
                return self.affect(plain, named)
            case "raise" | "resolve":
                return self.exception(word, plain, named)
            case "recall":
                return c.Recall(plain[0], int(named.get("as", 1)))
            case "reserve":
                lines = [self.reserve_line(i, text) for i, text in enumerate(plain[1:], 1)]
                ttl, fingerprint = round(float(named.get("ttl", 0)) * 1000), int(named.get("as", 1))
                replaces = id_of(named["replaces"]) if "replaces" in named else ""
                return c.Reserve(
                    plain[0], fingerprint, named.get("as-client", "shop"), named.get("via", "web"),
                    named.get("for", ""), named.get("order", ""), named.get("in", ""), "",
                    ttl, lines, "cause", "partial" in named, "whole" not in named, "dry" in named, replaces,
                    named.get("with", ""),
                )  # fmt: skip
        self.changes += 1
        change = c.Change(int(named.get("key", 1_000 + self.changes)), int(named.get("body", 1)))
        if word == "transfer":
            line, quantity = plain[1].split(":")
            return c.Transfer(plain[0], change, line, plain[2], plain[3], int(quantity), "shop")
        if word == "extend":
            return c.Extend(plain[0], change, int(plain[1]) * 1000, "shop")
        versions = [int(text[1:]) for text in plain[1:] if ":" not in text]
        lines = [(line, int(quantity)) for line, quantity in (text.split(":") for text in plain[1:] if ":" in text)]
        if word == "confirm":
            kept = [self.journaled[plain[0]]] if "journaled" in named else []
            if "stale" in named:
                kept = [structs.replace(kept[0], seq=kept[0].seq - 1)]
            return c.Confirm(plain[0], change, named.get("order", ""), lines, "shop", "", "reacquire" in named, kept)
        if word == "fulfil":
            return c.Fulfil(plain[0], change, lines, int(named.get("shipment", 0)), "shop")
        if word == "acknowledge":
            if "by" not in named:
                return c.Acknowledge(plain[0], change, lines, "shop")
            kind = "time" if "time" in named else "sequence"
            return c.Acknowledge(plain[0], change, lines, "shop", "", named["by"], split_version(versions[0]), kind)
        assert word == "release", word
        return c.Release(plain[0], change, named.get("of", ""), lines, "reason", "shop")

    def affect(self, plain: list[str], named: dict[str, str]) -> c.Affect:
        sku, location = plain[0].split("@")
        ids, state = [id_of(name) for name in plain[1:]], self.law.dump()
        seq, _, _, _, _, cursor, _ = state["shortages"].get((sku, location), (0,) * 7)
        known = [r["first_seq"] for id in ids if (r := state["reservations"].get(id[3:]))]
        after, seq = int(named.get("after") or cursor), int(named.get("of") or seq)
        return c.Affect(sku, location, seq, after, known[-1] if known else cursor, ids, "last" in named, "cause")

    def exception(self, word: str, plain: list[str], named: dict[str, str]) -> c.Raise | c.Resolve:
        kind, (sku, location) = plain[0], plain[1].split("@")
        if word == "raise":
            return c.Raise(kind, sku, location, "", "", "seen", "cause")
        state = self.law.dump()
        about = named.get("order", "")
        open = state["exceptions"].get(subject(kind, sku, location, "", about), 0)
        if kind == "shortage":
            open = state["shortages"].get((sku, location), (0,))[0]
        return c.Resolve(kind, sku, location, "", about, int(named.get("of") or open), "accepted", "looked", "tests")

    @staticmethod
    def split(rest: list[str]) -> tuple[list[str], dict[str, str]]:
        plain: list[str] = []
        named: dict[str, str] = {}
        words = iter(rest)
        for word in words:
            if word in _VALUED:
                named[word] = next(words)
            elif word in _FLAGS:
                named[word] = word
            else:
                plain.append(word)
        return plain, named

    @staticmethod
    def reserve_line(index: int, text: str) -> c.ReserveLine:
        text, _, day = text.partition("/")
        wanted, _, location = text.partition("@")
        sku, quantity = wanted.split(":")
        quantity, _, group = quantity.partition("%")
        return c.ReserveLine(str(index), sku, int(quantity), location, group, day_of(day)[0] if day else "")

    def campaign(self, rest: list[str]) -> c.PutPolicy:
        opens, closes = (self.now + round(float(text) * 1000) for text in rest[1:3])
        units = dict(text.split(":") for text in rest[3].split(","))
        body = {"opens": opens, "closes": closes, "skus": {sku: {"quantity": int(n)} for sku, n in units.items()}}
        body |= json.loads(" ".join(rest[4:]) or "{}")
        return c.PutPolicy("campaign", rest[0], json.dumps(body), skus=list(units))

    @staticmethod
    def stock(word: str, plain: list[str], named: dict[str, str]) -> c.Command:
        supply = plain.pop(1) if word in ("incoming", "received") else ""
        day = day_of(plain.pop(2)) if word == "incoming" else ("", 0)
        common = Table.common(plain, named)
        if word == "level":
            included = named["includes"].split(",") if "includes" in named else []
            return c.Level(*common, named.get("measure", ""), "", included)
        if word == "status":
            return c.Status(*common)
        if word == "incoming":
            return c.Incoming(*common, supply, *(day if int(plain[1]) else (day[0], 0)))
        if word == "received":
            return c.Received(*common, crc32(plain[3].encode()), supply)
        return c.Delta(*common, crc32(plain[3].encode()))

    @staticmethod
    def common(
        plain: list[str], named: dict[str, str]
    ) -> tuple[str, str, str, int, str, tuple[int, int], str, int, int]:
        """What all stock commands begin with."""
        sku, location = plain[0].split("@")
        return (sku, location, named.get("by", "wms"), int(plain[1]), *Table.told(plain[2], named))

    @staticmethod
    def told(version: str, named: dict[str, str]) -> tuple[str, tuple[int, int], str, int, int]:
        """Version, place in the stream and time of an event."""
        kind = "time" if "time" in named else "sequence"
        as_of = START_MS + round(float(named["at"]) * 1000) if "at" in named else 0
        return kind, split_version(int(version[1:])), "S", int(named.get("pos", 0)), as_of

    @staticmethod
    def tell(what: str, plain: list[str], named: dict[str, str]) -> c.TellOrder:
        order = "" if plain[0].startswith("r:") else plain[0]
        *texts, version, event = plain[1:]
        lines = []
        for text in texts:
            wanted, _, location = text.rstrip("!").partition("@")
            sku, quantity = wanted.split(":")
            lines.append(OrderLine(sku, int(quantity), location, text.endswith("!")))
        return c.TellOrder(
            what, "" if order else id_of(plain[0][2:]), named.get("by", "wms"), order, *Table.told(version, named),
            crc32(event.encode()), lines, int(named.get("shipment", 0)), "closed" in named, "e",
            named.get("part", ""),
        )  # fmt: skip

    def check(self, rest: list[str]) -> None:
        name, *expected = rest
        state = self.law.dump()
        if name == "nothing":
            found = [kind for kind in ("legs", "undecided", "contended", "baskets", "following") if state[kind]]
        elif "@" in name:
            sku, location = name.split("@")
            held, committed, *_ = state["positions"].get((sku, location), (0, 0))
            found = [str(self.free(state, sku, location)), str(held), str(committed)]
        else:
            assert name in state["reservations"], "there is no whole record of it"
            record = state["reservations"][name]
            found = []
            for line in record["lines"]:
                held = sum(a.held for a in line.allocations)
                found.append(f"{line.line_id}:{held}/{sum(a.committed for a in line.allocations)}")
            if not expected[0][0].isdigit():
                found.insert(0, self.state_of(record))
        assert found == expected, f"found {' '.join(found)}"

    def check_promises(self, rest: list[str]) -> None:
        name, *words = rest
        state = self.law.dump()
        wanted, _, location = name.partition("@")
        places = [at for sku, at in state["positions"] if sku == wanted and location in ("", at)]
        found = [str(sum(self.capacity(state, wanted, at, "") for at in places))]
        for text in words[1::2]:
            found += [text, str(sum(self.capacity(state, wanted, at, day_of(text)[0]) for at in places))]
        assert found == words, f"found {' '.join(found)}"

    def capacity(self, state: dict, sku: str, location: str, day: str) -> int:
        days = {name: Day(*at) for name, at in state["positions"][sku, location][4].items()}
        return max(0, lowest(self.free(state, sku, location), days, day, self.now))

    @staticmethod
    def free(state: dict, sku: str, location: str) -> int:
        held, committed, shipped, sources, _, aside = state["positions"].get((sku, location), (0, 0, {}, {}, {}, []))
        body = json.loads(state["policies"].get(("location", location), (0, "{}"))[1])
        listed = [s["source"] for s in body.get("sources", []) if s["role"] == "authority"]
        source = listed[0] if body.get("sources") and listed else state["authorities"].get(location, "")
        item = state["skus"].get(sku, (0, 0, "", 0, {}, set()))
        promised = item[4].get(location, item[3]) + held + committed + sum(shipped.values())
        promised += sum(x[4] for x in aside if x[0] == "short")

        def by(source: str) -> int:
            number, included, unsellable = (sources[source][i] for i in (0, 6, 8)) if source in sources else (0, 0, 0)
            measure = json.loads(state["policies"].get(("source", source), (0, "{}"))[1]).get("measure", "on_hand")
            free = number - promised
            return free + (included if measure == "available" else -unsellable if measure == "on_hand" else 0)

        fallback, since, *_ = state["locations"].get(location, ("", 0))
        returned = since and source in sources and sources[source][11][0] == since
        if since and not returned and fallback in sources and sources[fallback][1]:
            return min(by(source), by(fallback))
        return by(source)

    @staticmethod
    def state_of(record: dict) -> str:
        return Reservation(**record).state
