"""Vendors' messages, changed at random."""

import json
from typing import Any

from hypothesis import strategies as st

from atp.mapping import Message
from tests.rooms.mapping.vendors import payload

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", "0", "-1", "3-", "1e9", "1000000001", "12.5", "/Date(-1)/", "2026-02-30"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths of everything inside a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in pairs for place in places(item, (*path, key)))]


def changed(value: Any, path: tuple, how: str, new: Any) -> Any:
    """The value with one place inside it replaced, dropped, doubled or renamed."""
    if not path:
        return new
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    if how == "drop":
        del holder[key]
    elif how == "double" and isinstance(holder, list):
        holder.append(holder[key])
    elif how == "rename" and isinstance(holder, dict):
        holder[str(new)] = holder.pop(key)
    else:
        holder[key] = new
    return value


@st.composite
def mutated(draw: st.DrawFn, vendor: str) -> Message:
    """A vendor's message with up to four changes, perhaps cut or with bytes turned over."""
    told = payload(vendor)
    body = told["body"]
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(places(body)))
        body = changed(body, path, draw(st.sampled_from(["replace", "drop", "double", "rename"])), draw(VALUES))
    text = bytearray(json.dumps(body, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass"))
    if text and draw(st.integers(0, 5)) == 0:
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    if draw(st.integers(0, 9)) == 0:
        del text[draw(st.integers(0, len(text))) :]
    headers = {name: draw(TEXTS) if draw(st.integers(0, 4)) == 0 else value
               for name, value in told["transport"].get("headers", {}).items()}  # fmt: skip
    return Message.at(bytes(text), headers, draw(st.integers(0, 1 << 52)))
