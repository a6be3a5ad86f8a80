"""Waiting longer and longer, and saying once, not at every attempt, that something is away."""

import structlog

log = structlog.get_logger("atp.outbox")


class Attempts:
    """Pauses that double while something keeps failing, and one log line per change of state."""

    def __init__(self, what: str, partition: int, first_s: float, max_s: float) -> None:
        self._what = what
        self._partition = partition
        self._first_s = first_s
        self._max_s = max_s
        self._pause_s = first_s
        self._failing: type[BaseException] | None = None

    def failed(self, error: BaseException) -> float:
        """Seconds until the next attempt."""
        if self._failing is not type(error):
            self._failing = type(error)
            log.warning(
                "waiting",
                loop=self._what,
                partition=self._partition,
                error=type(error).__name__,
                detail=str(error),
            )
        pause = self._pause_s
        self._pause_s = min(2 * pause, self._max_s)
        return pause

    def succeeded(self) -> None:
        """Note that it works (again)."""
        if self._failing is not None:
            log.info("going on", loop=self._what, partition=self._partition)
        self._failing = None
        self._pause_s = self._first_s
