"""``atp mapping``: which vendors' formats are known, what a mapping says, and what it makes of a message."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from atp import config as settings
from atp.cli.errors import FAILED, Misused, Refused
from atp.cli.output import note

Name = Annotated[str, Parameter(help="A mapping's name, or the path of a TOML file.")]

_HEADER = "Name: value"

#: What a file's name says, for mappings that read anything.
_TYPES = {".csv": "text/csv", ".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson"}


class _Transport(msgspec.Struct):
    headers: dict[str, str] = {}


class _Capture(msgspec.Struct):
    transport: _Transport
    body: msgspec.Raw


def own_folder(config: settings.Config) -> Path | None:
    """Where mappings of one's own are. Raises Refused for a folder that is none."""
    if not config.mappings_dir:
        return None
    folder = Path(config.mappings_dir)
    if not folder.is_dir():
        raise Refused(f"ATP_MAPPINGS_DIR: {folder} is no folder")
    return folder


def list_mappings(*, json_: bool = False) -> int:
    """List the mappings: those that come with atp, and your own in ATP_MAPPINGS_DIR.

    Example: atp mapping list

    Parameters
    ----------
    json_
        Print as JSON.
    """
    from atp.mapping import listed, load

    folder = own_folder(settings.load())
    found = {name: load(name, folder).spec.about for name in listed(folder)}
    if json_:
        print(msgspec.json.encode([{"mapping": name, "about": about} for name, about in found.items()]).decode())
        return 0
    for name, about in found.items():
        print(f"{name:<24} {about}")
    return 0


def show(mapping: Name, *, json_: bool = False) -> int:
    """Show a mapping: its text with the reasons in it, or with --json all of it with what it extends.

    Example: atp mapping show shopify

    Parameters
    ----------
    json_
        Print the whole of it as JSON.
    """
    from atp.mapping import load
    from atp.mapping.loading import find

    folder = own_folder(settings.load())
    loaded = load(mapping, folder)
    if json_:
        print(msgspec.json.encode(loaded.spec).decode())
    else:
        print(find(mapping, folder).read_text(encoding="utf-8"), end="")
    return 0


def try_mapping(
    mapping: Name,
    file: Annotated[Path, Parameter(help="A message: the raw body, or a capture with its headers.")],
    *,
    source: str = "",
    header: list[str] | None = None,
    received: str = "",
    json_: bool = False,
) -> int:
    """Show the canonical events that a mapping makes of one message, or why it makes none. Publishes nothing.

    A capture is a JSON object with the message's `body` and, in `transport`, its `headers`.

    Example: atp mapping test my-wms.toml message.json --header 'X-Event-Id: 17'

    Parameters
    ----------
    source
        The source they would be from; by default the mapping's name.
    header
        A header of the message, "Name: value" (repeatable).
    received
        When it arrived, RFC 3339; by default now.
    json_
        Print as JSON.
    """
    from atp.mapping import Message, Stamp, load
    from atp.mapping import Refused as MessageRefused
    from atp.mapping.clocks import moment, rfc3339

    loaded = load(mapping, own_folder(settings.load()))
    try:
        body, captured = _captured(file.read_bytes())
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}") from None
    headers = {"content-type": _TYPES.get(file.suffix.lower(), "")} | captured
    headers |= dict(_header(text) for text in header or [])
    try:
        if received:
            at = rfc3339(moment(received, ["rfc3339"], None, "--received"))
            message = Message(body, headers, Stamp(time=at), at)
        else:
            message = Message.at(body, headers, time.time_ns() // 1000)
        mapped = loaded.apply(message, source or loaded.name)
    except MessageRefused as refused:
        if json_:
            print(msgspec.json.encode({"reason": refused.reason, "detail": refused.detail}).decode())
        else:
            note(f"atp: {file}: {refused}")
        return FAILED
    if json_:
        print(msgspec.json.encode(mapped).decode())
        return 0
    for event in mapped.events:
        version = event.time or f"sequence {event.sequence}"
        print(f"{event.type}  {version}  id {event.id}{' (weak)' if event.weak else ''}")
        print(f"  {event.encoded().decode()}")
    for reason, rows in mapped.skipped.items():
        print(f"skipped {rows}: {reason}")
    if not mapped.events:
        print("no events")
    return 0


def _captured(content: bytes) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a capture; what is none is the body itself."""
    try:
        found = msgspec.json.decode(content, type=_Capture)
    except msgspec.DecodeError:
        return content, {}
    return bytes(found.body), {name.lower(): value for name, value in found.transport.headers.items()}


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Misused(f"--header {text!r} is not of the form {_HEADER!r}")
    return name.strip().lower(), value.strip()
