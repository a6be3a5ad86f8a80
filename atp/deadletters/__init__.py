"""Dead letters: messages that failed by their own content, for people to look at, send again or throw away.

``ingest`` writes them; this room reads. It works on NATS alone, so that an operator has it in an outage of everything
else. ``letters`` knows what a letter looks like, ``store`` the stream, ``desk`` what may be done with one.
"""

from atp.deadletters.desk import Desk, Done, Failure, LetterMissing, NotReplayable, Page
from atp.deadletters.letters import RECEIVED, Chosen, Letter, LetterView, WholeLetterView, carried, view, whole_view
from atp.deadletters.settings import LetterSettings
from atp.deadletters.store import LettersUnavailable
from atp.deadletters.suspects import Suspects

__all__ = [
    "RECEIVED",
    "Chosen",
    "Desk",
    "Done",
    "Failure",
    "Letter",
    "LetterMissing",
    "LetterSettings",
    "LetterView",
    "LettersUnavailable",
    "NotReplayable",
    "Page",
    "Suspects",
    "WholeLetterView",
    "carried",
    "view",
    "whole_view",
]
