"""What may be done with dead letters: look through them, send one or many again, throw them away.

A replay is the original message on its original subject, under a message id that only this letter has, so that the
stream takes it once. Its own id and version are what they were: an old level stays stale, and a delta or a line that
was applied before has no second effect. A letter goes only when the stream has acknowledged its replay.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from msgspec import Struct, structs
from nats.aio.client import Client
from nats.js.errors import APIError

from atp.deadletters.letters import RECEIVED, Chosen, Letter, carried
from atp.deadletters.settings import LetterSettings
from atp.deadletters.store import UNSENDABLE, Store, reaching_nats
from atp.natspy import message_size

#: Letters looked at for one page at most: a rare reason must not make one call read everything.
LOOKED_AT_MAX = 10_000

_NEVER = 1 << 62
_AT_ONCE = 64  # deletes in flight

#: Told how many letters were looked at, and how many there are.
Progress = Callable[[int, int], None]


class LetterMissing(Exception):
    """There is no such letter."""

    def __init__(self, id: int) -> None:
        super().__init__(f"there is no dead letter {id}: it was replayed, thrown away, or never there")


class NotReplayable(Exception):
    """The original message cannot be sent again; the text says why. The letter stays."""


class Page(Struct):
    """Letters, oldest first, and behind which letter to go on, or None at the end."""

    letters: list[Letter]
    after: int | None


class Failure(Struct):
    """A letter that stays, and why."""

    id: int
    detail: str


class Done(Struct):
    """What became of many letters, and behind which one to go on, or None at the end."""

    count: int = 0
    failures: list[Failure] = []
    after: int | None = None


class Desk:
    """Every method raises LettersUnavailable while NATS is away; what was done until then stays done."""

    def __init__(self, nc: Client, settings: LetterSettings | None = None) -> None:
        self._settings = settings or LetterSettings()
        self._store = Store(nc, self._settings)
        self._replayable = re.compile(rf"{re.escape(self._settings.root)}\.(?:v1|raw)\.[^\s*>]+")

    async def page(self, chosen: Chosen, after: int, limit: int) -> Page:
        """Up to ``limit`` letters behind letter ``after``, without their payloads."""
        found: list[Letter] = []
        looked_at = 0
        async with aclosing(self._store.scan(chosen.source, after, _NEVER, whole=False)) as parts:
            async for letters, left in parts:
                for index, letter in enumerate(letters):
                    if chosen.has(letter):
                        found.append(letter)
                    if len(found) == limit:
                        return Page(found, letter.id if left or index + 1 < len(letters) else None)
                looked_at += len(letters)
                if looked_at >= LOOKED_AT_MAX and left:
                    return Page(found, letters[-1].id)
        return Page(found, None)

    async def get(self, id: int) -> Letter:
        """One letter with its payload; an omitted one is taken from its stream if that still has it.

        Raises LetterMissing.
        """
        letter = await self._find(id)
        if letter.omitted and (original := await self._store.stored(letter.stream, letter.sequence)):
            headers, size = carried(original.headers), len(original.data)
            return structs.replace(letter, headers=headers, payload=original.data, size=size)
        return structs.replace(letter, payload=None) if "payload" in letter.omitted else letter

    async def replay(self, id: int) -> None:
        """Send one again. Raises LetterMissing, NotReplayable."""
        await self._replay(await self._find(id))

    async def discard(self, id: int) -> None:
        """Throw one away. Raises LetterMissing."""
        if not await self._store.delete(id):
            raise LetterMissing(id)

    async def replay_all(
        self, chosen: Chosen, after: int = 0, limit: int = _NEVER, progress: Progress | None = None
    ) -> Done:
        """Send all chosen again, in order, of those that are there now: what fails once more is a new letter.

        ``limit`` letters are tried at most, behind letter ``after``.
        """
        return await self._each(chosen, after, limit, progress, self._replay, whole=True)

    async def discard_all(
        self, chosen: Chosen, after: int = 0, limit: int = _NEVER, progress: Progress | None = None
    ) -> Done:
        """Throw all chosen away, of those that are there now."""

        async def throw_away(letter: Letter) -> None:
            await self._store.delete(letter.id)

        return await self._each(chosen, after, limit, progress, throw_away, whole=False)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _each(
        self,
        chosen: Chosen,
        after: int,
        limit: int,
        progress: Progress | None,
        act: Callable[[Letter], Awaitable[None]],
        *,
        whole: bool,
    ) -> Done:
        done, tried, looked_at = Done(), 0, 0
        through = await self._store.last()
        async with aclosing(self._store.scan(chosen.source, after, through, whole=whole)) as parts:
            async for letters, left in parts:
                meant = [letter for letter in letters if chosen.has(letter)][: limit - tried]
                for start in range(0, len(meant), _AT_ONCE):
                    await self._act(meant[start : start + _AT_ONCE], act, done)
                tried += len(meant)
                looked_at += len(letters)
                if progress:
                    progress(looked_at, looked_at + left)
                if tried >= limit:
                    done.after = meant[-1].id if left or meant[-1] is not letters[-1] else None
                    break
        return done

    async def _act(self, letters: Sequence[Letter], act: Callable[[Letter], Awaitable[None]], done: Done) -> None:
        """Act on some at once. What is published is published in order, as all go out on one connection."""
        answers = await asyncio.gather(*(act(letter) for letter in letters), return_exceptions=True)
        for letter, answer in zip(letters, answers, strict=True):
            if answer is None:
                done.count += 1
            elif isinstance(answer, NotReplayable):
                done.failures.append(Failure(letter.id, str(answer)))
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, NotReplayable):
                raise answer

    async def _find(self, id: int) -> Letter:
        letter = await self._store.letter(id)
        if letter is None:
            raise LetterMissing(id)
        return letter

    async def _replay(self, letter: Letter) -> None:
        headers, payload = letter.headers, letter.payload or b""
        if letter.omitted:
            headers, payload = await self._original(letter)
        if not self._replayable.fullmatch(letter.subject):
            raise NotReplayable(f"it came by no subject that can be sent to again: {letter.subject[:200]!r}")
        # The letter's own place makes the id: whoever repeats a replay, however often, repeats this message.
        ours = {"Nats-Msg-Id": f"dlq:{letter.id}:{letter.sequence}", "Nats-Expected-Stream": letter.stream}
        excess = message_size(headers | ours, payload) - self._store.nc.max_payload
        if excess > 0:  # the server would close the connection
            raise NotReplayable(f"with the headers of a replay it is {excess} bytes larger than NATS takes")
        try:
            async with reaching_nats():
                await self._store.js.publish(
                    letter.subject, payload, timeout=self._settings.timeout_s, headers=headers | ours
                )
        except UNSENDABLE as error:
            raise NotReplayable(f"NATS cannot carry it: {str(error) or type(error).__name__}") from None
        except APIError as error:
            raise NotReplayable(f"the stream refused it: {error.description or error}") from None
        await self._store.delete(letter.id)

    async def _original(self, letter: Letter) -> tuple[dict[str, str], bytes]:
        original = await self._store.stored(letter.stream, letter.sequence)
        if original is None:
            raise NotReplayable(
                f"its {' and '.join(letter.omitted)} were too large to be kept, and stream {letter.stream} no longer "
                f"has the original at sequence {letter.sequence}"
            )
        first = {RECEIVED: str(original.stored_at * 1000)} if letter.stream == self._settings.raw else {}
        return first | carried(original.headers), original.data
