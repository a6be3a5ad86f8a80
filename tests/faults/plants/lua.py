"""A ledger whose law is another one; its library has a name of its own, as every text has."""

from atp.ledger import library


def alter(*changes: tuple[str, str]) -> None:
    """Replace texts of the library, each of which must stand there once."""
    text = library.text()
    for old, new in changes:
        if text.count(old) != 1:
            raise AssertionError(f"found {text.count(old)} times in atp/ledger/lua, must be once: {old!r}")
        text = text.replace(old, new)
    found = library.finish(text)
    library.source = lambda: found  # type: ignore[assignment]
