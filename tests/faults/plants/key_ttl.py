"""Holds that end because their record does, as with a key's TTL: nobody gives their units back."""

from tests.faults.plants.lua import alter


def plant(argument: str) -> None:
    alter(
        (
            "local r = find_by_id(b, id)\n    if r then\n      end_held(b, r, A_EXPIRED)",
            "local r = find_by_id(b, id)\n    if r then b.gone = id r = nil end\n    if r then\n"
            "      end_held(b, r, A_EXPIRED)",
        ),
    )
