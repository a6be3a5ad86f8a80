"""Rounds over HTTP: the service, references and peers in turn, and what must hold after them."""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path

from msgspec import Struct

from atp.bench import load, peers, proof, shapes
from atp.bench.asks import Ask, Asks
from atp.bench.figures import PEER, REFERENCE, SUBJECT, Ratio, Round, Series, ratio
from atp.bench.hosting import python, serving
from atp.bench.keeping import Keeping
from atp.bench.peers import FOLDER, Peer
from atp.bench.report import Finding
from atp.bench.shapes import FEW, MANY, PLENTY, Shape
from atp.bench.subjects import LIKE, SUBJECTS, UNKNOWN_RATE, Subject, reserving
from atp.dev import ports
from atp.dev.stack import DevStack
from atp.dev.state import Endpoints

#: References by their titles: the same server, the same JSON in and out, and nothing else.
BARE = "bare echo"
REFERENCES = {BARE: "bare", "Litestar echo": "litestar"}

#: How long a round of the warm-up is.
WARM_S = 1.0

#: How long the sale of the last units goes on.
LAST_S = 1.0

_ECHO = f"{BARE}, POST"
_HOT = "ONE-0"  # what peers sell
_LAST = "LAST-0"


class Asked(Struct, frozen=True):
    """What to measure. Peers are measured at the first number of connections."""

    subjects: tuple[str, ...]
    connections: tuple[int, ...] = (64, 256)
    seconds: float = 3.0
    rounds: int = 3
    skus: int = 1
    rate: float = 0.0  # of an open loop; 0: closed
    peers: str = "all"
    peers_folder: Path = FOLDER
    warm_up: bool = True
    half_load: bool = True  # beside reserve in a closed loop


class Found(Struct):
    """What was measured, and what held."""

    series: list[Series]
    ratios: list[Ratio]
    findings: list[Finding]
    skipped: dict[str, str]


Say = Callable[[str], None]


async def measure(asked: Asked, say: Say) -> Found:
    """Start everything of its own, measure in alternating rounds, prove, and end everything."""
    wanted = peers.chosen(asked.peers_folder, asked.peers)
    selling = any(SUBJECTS[name].reserved == 1.0 for name in asked.subjects)
    sold = [shapes.hot("one", 1, asked.skus), shapes.hot("twelve", 12, asked.skus), shapes.hot("last", 1, 1, FEW)]
    if any(SUBJECTS[name].shape == "many" for name in asked.subjects):
        sold.append(shapes.hot("many", 1, MANY))
    with tempfile.TemporaryDirectory(prefix="atp-bench-", ignore_cleanup_errors=True) as name, ExitStack() as exits:
        folder = Path(name)
        say("starting the service")
        async with DevStack(folder / "atp", ports.free_port(), say=lambda _: None) as endpoints:
            await shapes.stock(endpoints, [*sold, Shape("fed", (), ("FED",))])
            references = {
                title: exits.enter_context(serving(python("-m", "atp.bench.echo", kind), folder / "log", kind))
                for title, kind in REFERENCES.items()
            }
            if wanted and selling:
                say("starting peers")
            async with peers.started(asked.peers_folder, wanted if selling else [], folder / "peers") as (run, skipped):
                for peer in run.values():
                    await peer.seed(_HOT, PLENTY)
                    await peer.seed(_LAST, FEW)
                return await Rounds(asked, folder, endpoints, references, run, sold, say).all(skipped)


class Rounds:
    """The rounds of a run, and who was told what in them."""

    def __init__(
        self, asked: Asked, folder: Path, endpoints: Endpoints, references: Mapping[str, tuple[str, int]],
        running: Mapping[str, Peer], sold: Sequence[Shape], say: Say,
    ) -> None:  # fmt: skip
        self._asked, self._folder, self._say = asked, folder, say
        self._endpoints, self._references, self._peers = endpoints, references, running
        self._shapes = {shape.name: shape for shape in sold}
        self._keeping = Keeping(endpoints)
        self._series: dict[tuple[str, int, str], Series] = {}
        self._told: Counter[str] = Counter()  # units acknowledged, by shape
        self._peers_told: Counter[tuple[str, str]] = Counter()  # by peer and sku

    async def all(self, skipped: dict[str, str]) -> Found:
        """Every round, then the last units, then the proof. A first round, which finds all things cold, is not kept."""
        if self._asked.warm_up:
            self._say("warming up")
            await self._round(self._asked.connections[0], WARM_S)
            self._series.clear()
        for number in range(self._asked.rounds):
            for connections in self._asked.connections:
                self._say(f"round {number + 1} of {self._asked.rounds}, {connections} connections")
                await self._round(connections, self._asked.seconds)
        self._say("selling the last units, and counting")
        findings = [await self._last_units(), *await self._proof(), *self._answered()]
        return Found(list(self._series.values()), self._ratios(), findings, skipped)

    async def _round(self, connections: int, seconds: float) -> None:
        first = connections == self._asked.connections[0]
        subjects = [SUBJECTS[name] for name in self._asked.subjects]
        for kind in dict.fromkeys(subject.reference for subject in subjects):
            for title in self._references:
                found = await self._reference(title, kind, connections, seconds, self._asked.rate)
                self._note(f"{title}, {kind}", REFERENCE, connections, found)
        for subject in subjects:
            found = await self._subject(subject, connections, seconds, self._asked.rate)
            self._note(subject.name, SUBJECT, connections, found)
        if first and self._asked.half_load and not self._asked.rate and "reserve" in self._asked.subjects:
            await self._half_load(connections, seconds)
        for title, peer in self._peers.items() if first else ():
            asks = reserving(Asks(peer.url, "none"), (_HOT,))
            found = await self._play(peer.url, asks, connections, seconds, peer.pids, self._asked.rate)
            self._peers_told[title, _HOT] += found.requests - found.refused
            self._note(title, PEER, connections, found)

    async def _half_load(self, connections: int, seconds: float) -> None:
        """What waiting is like when half of what this round could do is asked for, whatever comes back."""
        rate = self._series["reserve", connections, SUBJECT].rounds[-1].rate / 2
        found = await self._reference(BARE, "POST", connections, seconds, rate)
        self._note(f"{BARE}, half load", REFERENCE, connections, found, rate)
        found = await self._subject(SUBJECTS["reserve"], connections, seconds, rate)
        self._note("reserve, half load", SUBJECT, connections, found, rate)

    async def _reference(self, title: str, kind: str, connections: int, seconds: float, rate: float) -> Round:
        url, pid = self._references[title]
        asks = LIKE[kind](Asks(url, "none"), self._shapes["many" if kind == "query" else "one"].skus)
        return await self._play(url, asks, connections, seconds, {"app": pid}, rate)

    async def _subject(self, subject: Subject, connections: int, seconds: float, rate: float) -> Round:
        shape = self._shapes[subject.shape]
        known = self._series.get((subject.name, connections, SUBJECT))
        expected = 1.5 * max(r.rate for r in known.rounds) if known else UNKNOWN_RATE
        asks = await subject.prepare(self._endpoints, shape, round(expected * seconds))
        async with self._keeping.round():
            found = await self._play(self._endpoints.api, asks, connections, seconds, self._pids(), rate)
        # Of a mix nobody tells which requests were not answered in the end, or refused: at worst the reservations.
        unsure = connections if subject.reserved < 1.0 else 0
        granted = max(0, int(found.requests * subject.reserved) - found.refused - unsure)
        self._told[shape.name] += granted + int(len(asks) * subject.made)
        return found

    async def _play(
        self, url: str, asks: Sequence[Ask], connections: int, seconds: float, pids: Mapping[str, int], rate: float
    ) -> Round:
        return await load.play(self._folder, url, asks, connections, seconds, pids, rate)

    def _note(self, name: str, role: str, connections: int, found: Round, rate: float = 0.0) -> None:
        made = Series(name, role, [], connections, rate or self._asked.rate)
        self._series.setdefault((name, connections, role), made).rounds.append(found)

    def _pids(self) -> dict[str, int]:
        run = self._folder / "atp" / "run"
        return {path.stem.removesuffix("-1"): int(path.read_text()) for path in run.glob("*.pid")}

    async def _last_units(self) -> Finding:
        """Sell a sku that has few units to callers that do not stop asking, here and at every peer."""
        connections, told = self._asked.connections[0], 0
        endpoints = self._endpoints
        asks = reserving(Asks(endpoints.api, endpoints.api_key), (_LAST,))
        found = await load.play(self._folder, endpoints.api, asks, connections, LAST_S, {})
        self._told["last"] += (told := found.requests - found.refused)
        for title, peer in self._peers.items():
            asks = reserving(Asks(peer.url, "none"), (_LAST,))
            found = await load.play(self._folder, peer.url, asks, connections, LAST_S, {})
            self._peers_told[title, _LAST] += found.requests - found.refused
        detail = f"{told:,} of {FEW:,} units were granted to {connections} callers at once"
        return Finding("the last units are sold once", told <= FEW, detail)

    async def _proof(self) -> list[Finding]:
        writing = [s for s in self._series.values() if s.role == SUBJECT and "availability" not in s.name]
        fastest = max((s.rate for s in writing), default=0.0)
        findings = await self._keeping.findings(fastest)
        for shape in self._shapes.values():
            found = await proof.sold(self._endpoints, shape.skus)
            findings += proof.conserved(shape, found, self._told[shape.name])
        units = {_HOT: PLENTY, _LAST: FEW}
        return [*findings, *await proof.check_peers(self._peers, self._peers_told, units)]

    def _answered(self) -> list[Finding]:
        """A closed loop is no overload: whoever asks is served (R25)."""
        rows = [s for s in self._series.values() if not s.open_rate]
        refused, errors = (
            ", ".join(f"{s.name} at {s.connections}: {count:,}" for s in rows if (count := _total(s, of)))
            for of in ("refused", "errors")
        )
        return [
            Finding("no refusals in a closed loop", not refused, refused or f"in {len(rows)} rows", timed=True),
            Finding("no errors in a closed loop", not errors, errors or f"in {len(rows)} rows"),
        ]

    def _ratios(self) -> list[Ratio]:
        of, found = "p99_ms" if self._asked.rate else "rate", []
        for name, connections in product(self._asked.subjects, self._asked.connections):
            ours, kind = self._series[name, connections, SUBJECT], SUBJECTS[name].reference
            beside = [(title, self._series[f"{title}, {kind}", connections, REFERENCE]) for title in self._references]
            if SUBJECTS[name].reserved == 1.0:
                beside += [(s.name, s) for s in self._series.values() if (s.role, s.connections) == (PEER, connections)]
            found += [ratio(f"{name} ÷ {title} @{connections}", ours, s, of) for title, s in beside]
        return found + self._costs() + self._waits()

    def _costs(self) -> list[Ratio]:
        """CPU of a reservation beside a reference's or peer's, ours with ingest, drain, journal and events."""
        first = self._asked.connections[0]
        ours = self._series.get(("reserve", first, SUBJECT))
        beside = [s for s in self._series.values() if s.connections == first and (s.role == PEER or s.name == _ECHO)]
        return [ratio(f"CPU of {s.name} ÷ reserve @{first}", s, ours, "served_us") for s in beside] if ours else []

    def _waits(self) -> list[Ratio]:
        first = self._asked.connections[0]
        ours = self._series.get(("reserve, half load", first, SUBJECT))
        if ours is None:
            return []
        below = self._series[f"{BARE}, half load", first, REFERENCE]
        return [ratio(f"p99 of reserve ÷ {BARE}, half load @{first}", ours, below, "p99_ms")]


def _total(series: Series, of: str) -> int:
    return sum(getattr(r, of) for r in series.rounds)
