"""CPU time of processes, for costs that a busy machine does not change as much as it changes rates."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(root: int) -> float:
    """Seconds of a process and of those it started, the ended ones too that were waited for."""
    total, todo = 0.0, [root]
    while todo:
        pid = todo.pop()
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) / _TICKS
        todo += map(int, children)
    return total
