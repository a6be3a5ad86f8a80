"""How many people come when: one shape class, whose pattern is an option, since locust takes only one."""

import time

from locust import LoadTestShape, User

from loadtests.people import floor

Tick = tuple[int, float, list[type[User]] | None]

#: Pattern → how many at their highest, for how long in seconds, and how many come in each second.
PATTERNS = {
    "steady": (50, 60.0, 10.0),
    "spike": (500, 30.0, 250.0),  # doors open: all are there within two seconds
    "soak": (50, 3_600.0, 1.0),
    "thunder": (300, 30.0, 150.0),  # all ask at the same instants, and five times more at once when refused
}


class Crowd(LoadTestShape):
    """``--shape``; ``--people``, ``--arrivals`` and ``--seconds`` replace the pattern's figures.

    Locust's own options for them are 1 where nobody gave them, which no pattern means.
    """

    def tick(self) -> Tick | None:
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        assert options is not None
        users, seconds, rate = PATTERNS[options.shape]
        # The clock starts when the shop is open, which locust's own does not know.
        began = floor.now().opened if floor.is_open() else time.monotonic()
        if time.monotonic() - began > (options.seconds or seconds):
            return None
        return options.people or users, options.arrivals or rate, None
