"""Holds that end because their record does, as with a key's TTL: nobody gives their units back."""

from tests.faults.plants.lua import alter


def plant(argument: str) -> None:
    alter(
        (
            "    if r and not r.tombstone then\n      end_held(b, r, A_EXPIRED)",
            "    if false then\n      end_held(b, r, A_EXPIRED)",
        ),
    )
