"""JSON from strangers: one exact reason for every way in which it can be wrong, and never an exception of its own.

msgspec checks types, bounds and unknown fields while it parses. What it does not tell are repeated keys, of which it
takes the last where other readers take the first, and where in the text invalid UTF-8 stands.
"""

import json
from collections.abc import Callable

import msgspec
from msgspec import Raw

from atp.ingest.reasons import Reason, Rejected


def decoder_of[T](type: type[T]) -> Callable[[bytes | Raw, str, Reason], T]:
    """A function of text, its JSON path and the reason for a wrong shape, which decodes or raises Rejected."""
    decode = msgspec.json.Decoder(type).decode

    def strict(text: bytes | Raw, root: str, wrong_shape: Reason) -> T:
        try:
            return decode(text)
        except msgspec.ValidationError as error:
            raise Rejected(wrong_shape, _with_path(str(error), root)) from None
        except msgspec.DecodeError as error:
            raise Rejected(Reason.INVALID_JSON, f"{root}: {error}" if bytes(text) else f"{root}: empty") from None
        except UnicodeDecodeError:
            raise Rejected(Reason.INVALID_JSON, f"{root}: {_where_not_utf8(bytes(text))}") from None
        except RecursionError:
            raise Rejected(Reason.INVALID_JSON, f"{root}: nested too deeply") from None

    return strict


def refuse_repeated_keys(text: bytes | Raw) -> None:
    """Raise Rejected if an object in this (already decodable) JSON has a key twice."""
    try:
        json.loads(bytes(text), object_pairs_hook=_unique, parse_int=str)  # ints may have any number of digits
    except RecursionError:
        raise Rejected(Reason.INVALID_JSON, "$: nested too deeply") from None
    except ValueError as error:  # what msgspec read and the standard library does not
        raise Rejected(Reason.INVALID_JSON, f"$: {error}") from None


def _unique(pairs: list[tuple[str, object]]) -> None:
    if len(pairs) != len(dict(pairs)):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise Rejected(Reason.INVALID_JSON, f"the key {twice[:64]!r} stands twice in one object")


def _with_path(text: str, root: str) -> str:
    """msgspec names the path only below the root: ``Expected `int`, got `str` - at `$.lines[0].quantity```."""
    what, at, path = text.rpartition(" - at `")
    return f"{root}{path[1:-1]}: {what}" if at else f"{root}: {text}"


def _where_not_utf8(text: bytes) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte {error.start} is 0x{text[error.start]:02x}"
    return "not UTF-8"
