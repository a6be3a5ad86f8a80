"""Look-ups of what became of a reserve."""

from random import Random
from typing import Any

from atp.domain import commands as c

SHARE = 3


def command(life: Any, draw: Random) -> c.Command:
    return c.Recall(draw.choice(life.ids), draw.choice([7] * 9 + [8]))
