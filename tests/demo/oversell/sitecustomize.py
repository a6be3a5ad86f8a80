"""A ledger that sells what is not there: Python loads this module in every process that has its folder on the path.

The library gets another name, so that the honest one of the parent process does not stand in for it.
"""

from atp.ledger import library

_honest = library.source
_NEXT = "function take(s, "
_SEARCH = "return places, known + 1"


def _oversells() -> tuple[str, str]:
    name, text = _honest()
    assert "function free_units(" in text
    assert text.count(_NEXT) == text.count(_SEARCH) == 1
    text = text.replace(_SEARCH, "return places, 1")
    text = text.replace(_NEXT, f"free_units = function() return 1000000 end\n\n{_NEXT}", 1)
    return "atp_oversells", text.replace(name, "atp_oversells")


library.source = _oversells
