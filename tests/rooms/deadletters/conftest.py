"""The consumer's room: letters are made by what makes them."""

from tests.rooms.ingest.conftest import nc, room, settings

__all__ = ["nc", "room", "settings"]
