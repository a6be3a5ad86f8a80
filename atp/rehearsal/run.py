"""One rehearsal: copy, move the campaign to now, play, wait for quiet, compare."""

import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import json, structs

from atp.config import Config
from atp.dev.valkey import Valkey
from atp.domain.commands import PutPolicy
from atp.domain.rules.policies import Campaign, decode
from atp.domain.times import rfc3339
from atp.ledger import Ledger, LedgerSettings
from atp.ledger.connection import connect
from atp.rehearsal import conservation, copying
from atp.rehearsal.composing import compose
from atp.rehearsal.errors import RehearsalRefused
from atp.rehearsal.live import Live
from atp.rehearsal.replaying import replayed
from atp.rehearsal.report import Report
from atp.rehearsal.sale import FOLLOW_S, PATIENCE_S, Playing
from atp.rehearsal.settings import WINDOW_S, Settings
from atp.rehearsal.visits import Visit, recorded, synthesise

#: The window of the copy opens so long before the sale and closes so long after it, in ms of the real clock.
_BEFORE_MS, _AFTER_MS = 60_000, 3_600_000
_GRACE_S = 2.0  # how long after its deadline a hold still counts (R17); it is not played faster
_QUIET_S = 20.0

#: Told what goes on, and which share of it is done.
Say = Callable[[str, float], None]


async def rehearse(campaign: str, settings: Settings, config: Config, say: Say) -> Report:
    """Raises RehearsalRefused, and what ledger, journal and embedded server raise."""
    async with Live(config) as live, _server(config, live) as (url, where):
        before = await live.heads()
        namespace = f"rehearsal-{secrets.token_hex(6)}"
        try:
            say("Copying stock and policies from the journal.", 0.0)
            async with copying.reading(config) as journal:
                copied = await copying.copy(journal, config, url, namespace)
            ledger = Ledger(LedgerSettings(
                url, namespace, config.partitions, unproven_server=config.unproven_server == "allow"
            ))  # fmt: skip
            await ledger.open()
            try:
                stage = _Stage(campaign, settings, config, ledger, url, namespace, say)
                report = await stage.run()
            finally:
                await ledger.close()
        finally:
            await copying.remove(url, namespace, config.partitions)
        after = await live.heads()
    report.copy.seqs = [c.seq for c in copied]
    report.copy.as_of = rfc3339(max(c.as_of for c in copied))
    report.copy.records = sum(c.records for c in copied)
    report.copy.server = where
    report.live = {
        "Asked of the live ledger:": " and ".join(f"{n} × {word}" for word, n in live.asked.items()) + ", reads all",
        "its (epoch, seq) before:": ", ".join(map(str, before)),
        "after:": ", ".join(map(str, after)),
    }
    return report


class _Stage:
    """The campaign on the copy."""

    def __init__(
        self, campaign: str, settings: Settings, config: Config, ledger: Ledger, url: str, namespace: str, say: Say
    ) -> None:
        self._name, self._settings, self._ledger, self._say = campaign, settings, ledger, say
        self._config, self._url, self._namespace = config, url, namespace

    async def run(self) -> Report:
        window, body = await self._move()
        campaign = decode(body, Campaign)
        visits, visits_from = await self._visits(campaign)
        before = conservation.balances(await self._states())
        cpu = await _cpu(self._url)
        playing = Playing(
            self._ledger, self._name, next(iter(campaign.channels), "default"), campaign.ttl_seconds * 1_000,
            self._settings.speed,
        )  # fmt: skip
        ending_s = playing.ttl_s + _GRACE_S
        about_s = playing.lasts_s(visits) + ending_s
        slow_s = 2 * PATIENCE_S + _QUIET_S + FOLLOW_S  # a hold and its end that are long asked for, and all behind it
        self._say(f"This takes about {about_s:.0f} s, at most {about_s + slow_s:.0f} s.", 0.0)
        await playing.run(visits, partial(self._say, f"The sale is on: {len(visits):,} visits."))
        cpu = await _cpu(self._url) - cpu
        waiting = partial(self._say, "Waiting until abandoned holds have expired.")
        await playing.until_ended(ending_s + _QUIET_S, waiting)
        after = await self._states()
        checks = conservation.compare(before, after, self._name, playing.books)
        return compose(
            self._name, self._settings, campaign, (len(visits), visits_from), playing.books, after, checks, cpu, window
        )

    async def _visits(self, campaign: Campaign) -> tuple[list[Visit], str]:
        """Who comes, and where that is from; the sale is as long as what was recorded, if nothing else was said."""
        asked = self._settings
        if not (asked.recording or asked.replayed):
            self._settings = _in_time(asked, WINDOW_S)
            return synthesise(campaign, self._settings), f"made up from seed {asked.seed}"
        if asked.recording:
            visits, told = recorded(asked.recording), f"recorded in {asked.recording.name}"
        else:
            policy = await self._ledger.policy("campaign", asked.replayed)
            if policy is None:
                raise RehearsalRefused(f"there is no campaign {asked.replayed}")
            self._say(f"Reading the sales of {asked.replayed} from the journal.", 0.0)
            async with copying.reading(self._config) as journal:
                visits = await replayed(journal, asked.replayed, decode(policy.body, Campaign))
            told = f"as the journal has them of {asked.replayed}: those who got units, without the refused"
        self._settings = _in_time(asked, max(1.0, visits[-1].at))
        return visits, told

    async def _move(self) -> tuple[str, str]:
        """Put the campaign anew with a window that is open: what was changed, and the body."""
        policy = await self._ledger.policy("campaign", self._name)
        if policy is None:
            raise RehearsalRefused(f"there is no campaign {self._name}")
        body = json.decode(policy.body)
        told = (
            f"Its window {body.get('starts_at', '')} to {body.get('ends_at', '')} was moved to now, in the copy alone"
        )
        if body.get("waiting_room"):
            told += "; its waiting room is not rehearsed: all come at once"
        now = time.time_ns() // 1_000_000
        if body["opens"] <= now < body["closes"]:  # a sale that is on ends first: its buyers and sales count no more
            await self._put(body, now - _BEFORE_MS, now - 1)
        closes = now + round(self._settings.seconds * 1_000) + _AFTER_MS
        return told + ".", await self._put(body | {"waiting_room": False}, now - _BEFORE_MS, closes)

    async def _put(self, body: dict[str, Any], opens: int, closes: int) -> str:
        body = body | {"opens": opens, "closes": closes, "starts_at": rfc3339(opens), "ends_at": rfc3339(closes)}
        text = json.encode(body).decode()
        result = await self._ledger.put_policy(PutPolicy("campaign", self._name, text, skus=list(body["skus"])))
        if not result.outcome.accepted:
            raise RehearsalRefused(
                f"the copy does not take the campaign: {result.outcome.name.lower()} {result.detail}"
            )
        return text

    async def _states(self) -> list:
        return await copying.states(self._url, self._namespace, self._ledger.partitions)


def _in_time(asked: Settings, window_s: float) -> Settings:
    """With a window, and never slower than life: holds would be longer than the law lets them be."""
    window = asked.window_seconds or window_s
    return structs.replace(asked, window_seconds=window, seconds=min(asked.seconds, window))


async def _cpu(url: str) -> float:
    """Seconds that the server has worked."""
    connection = await connect(url, 2.0)
    try:
        text = (await connection.ask("INFO", "cpu")).decode()
    finally:
        await connection.end()
    told = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


class _Own(Valkey):
    """The embedded server; its messages name the setting that replaces it here."""

    env_name = "ATP_REHEARSAL_REDIS_URL"


@asynccontextmanager
async def _server(config: Config, live: Live) -> AsyncIterator[tuple[str, str]]:
    """(URL, what to call it) of a server that is not the live ledger's. Raises RehearsalRefused, DevError."""
    if config.rehearsal_redis_url:
        await live.refuse(config.rehearsal_redis_url)
        yield config.rehearsal_redis_url, "the server of ATP_REHEARSAL_REDIS_URL"
        return
    with (
        tempfile.TemporaryDirectory(prefix="atp-rehearsal-", ignore_cleanup_errors=True) as folder,
        _Own(Path(folder)) as server,
    ):
        await live.refuse(server.url)
        yield server.url, "an embedded server"
