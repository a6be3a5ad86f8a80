"""A ledger that does not ask whether it is the one its callers know."""

from tests.faults.plants.lua import alter


def plant(argument: str) -> None:
    alter(("if tonumber(meta.seq) < header[5] then return 'BEHIND ' .. meta.seq end", ""))
