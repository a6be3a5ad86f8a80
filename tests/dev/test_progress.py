"""The bar of long commands: on a terminal only."""

import io
import os
import sys

import pytest

from atp.cli.output import watched


def shown(monkeypatch: pytest.MonkeyPatch, *, quiet: bool) -> str:
    """What a terminal gets of a bar that stands at the half."""
    ours, theirs = os.openpty()
    with open(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with watched("rehearsing bf", 1.0, "{task.fields[found]:,} differences", quiet=quiet, found=0) as move:
            move(completed=0.5, found=1_234)
        terminal.write("end")
        terminal.flush()
        text = ""
        while not text.endswith("end"):
            text += os.read(ours, 1 << 16).decode()
    os.close(ours)
    return text


def test_it_stands_where_it_was_moved_to(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, quiet=False)
    assert "rehearsing bf" in text
    assert "50%" in text
    assert "1,234 differences" in text


def test_told_to_be_quiet_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, quiet=True) == "end"


def test_without_a_terminal_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    with watched("rehearsing bf", 1.0, quiet=False) as move:
        move(completed=0.5)
    assert said.getvalue() == ""
