"""``atp source``: cut a location over to another source, let a source begin anew."""

import secrets
from typing import Annotated
from urllib.parse import quote

import msgspec
from cyclopts import Parameter

from atp import config as settings
from atp.cli.client import find_api

Location = Annotated[str, Parameter(help="The location's id.")]
Source = Annotated[str, Parameter(help="The source's id.")]


def move(location: Location, *, to: str, key: str = "", json_: bool = False) -> int:
    """Let another source's number count at a location, from one step on and at all its positions.

    The source before becomes a shadow: its numbers are kept and shown, and do not sell. Asks the API (ATP_API_URL and
    ATP_API_KEY of an administrator, else the `atp dev` of this folder).

    Example: atp source move DC1 --to erp-new

    Parameters
    ----------
    to
        The source whose number is to count.
    key
        An Idempotency-Key of your own: repeated with it, the call counts once.
    json_
        Print the location as JSON.
    """
    path = f"/v1/locations/{quote(location, safe='')}/authority"
    answer = find_api(settings.load(), admin=True).post(path, {"to": to}, key or secrets.token_hex(16))
    if json_:
        print(msgspec.json.encode(answer).decode())
    else:
        others = [f"{listed['source']} ({listed['role']})" for listed in answer["sources"][1:]]
        print(f"{location} counts by {to} now" + (f"; beside it: {', '.join(others)}" if others else ""))
    return 0


def restart(source: Source, *, key: str = "", json_: bool = False) -> int:
    """Let a source begin anew that lost its sequence: what it says from now on is newer than all it said before.

    Asks the API (ATP_API_URL and ATP_API_KEY of an administrator, else the `atp dev` of this folder).

    Example: atp source restart erp

    Parameters
    ----------
    key
        An Idempotency-Key of your own: repeated with it, the call counts once.
    json_
        Print the answer as JSON.
    """
    path = f"/v1/sources/{quote(source, safe='')}/restart"
    answer = find_api(settings.load(), admin=True).post(path, None, key or secrets.token_hex(16))
    text = msgspec.json.encode(answer).decode()
    print(text if json_ else f"{source} begins anew, with generation {answer['generation']}")
    return 0
