"""The vendors' payloads and the shop's own mappings of them."""

import json
from pathlib import Path
from typing import Any

from atp.mapping import Mapping, Message, load

FOLDER = Path(__file__).parent
VENDORS = sorted(path.stem for path in (FOLDER / "payloads").glob("*.json"))

#: 2026-11-20T09:14:03.25Z
RECEIVED_US = 1_795_166_043_250_000


def payload(vendor: str) -> dict[str, Any]:
    """A captured message: its transport and its body."""
    return json.loads((FOLDER / "payloads" / f"{vendor}.json").read_text())


def shop(vendor: str) -> Mapping:
    """The vendor's mapping with the shop's tables."""
    return load(str(FOLDER / "shops" / f"{vendor}.toml"))


def message(body: object, headers: dict[str, str] | None = None) -> Message:
    """A message with this body, as JSON or as bytes."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Message.at(text, headers or {}, RECEIVED_US)


def captured(vendor: str, **changes: Any) -> Message:
    """The vendor's message, its body's first level changed."""
    told = payload(vendor)
    body = told["body"] | changes if changes else told["body"]
    return message(body, told["transport"].get("headers"))
