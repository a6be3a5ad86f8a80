"""Copies of the Lua library with a few words changed, under a name of their own beside the real one."""

import pytest

from atp.ledger import library

NAME = "atp_altered"


class Moved(AssertionError):
    """The text to change is not there exactly once: the code moved on, and the change must follow it."""


def planted(*changes: tuple[str, str]) -> str:
    """All parts as one text, after each (text, replacement); raises Moved."""
    text = library.text()
    for old, new in changes:
        if text.count(old) != 1:
            raise Moved(f"found {text.count(old)} times in atp/ledger/lua, must be once: {old!r}")
        text = text.replace(old, new)
    return text


def altered(*changes: tuple[str, str]) -> tuple[str, str]:
    """What ``library.source`` gives of the planted text, under the name of altered ones; raises Moved."""
    name, text = library.finish(planted(*changes))
    return NAME, text.replace(name, NAME)


def use(monkeypatch: pytest.MonkeyPatch, *changes: tuple[str, str]) -> None:
    """Whatever loads or calls the library from here on gets the altered one."""
    found = altered(*changes)
    monkeypatch.setattr(library, "source", lambda: found)
