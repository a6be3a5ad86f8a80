"""``atp reservations``, ``atp history`` and ``atp audit``: what the journal has, asked of the API."""

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from cyclopts import Parameter

from atp import config as settings
from atp.cli.client import find_api
from atp.cli.errors import Misused
from atp.cli.output import note, printable, shown_time

_PAGE_MAX = 500

Id = Annotated[str, Parameter(help="A reservation's id.")]


def reservations(
    *, order_ref: str = "", sku: str = "", state: str = "", limit: int = 50, page_token: str = "", json_: bool = False
) -> int:
    """Find reservations, newest first, as the journal has them: by order, sku and state.

    Asks the API (ATP_API_URL and ATP_API_KEY, else the `atp dev` of this folder).

    Example: atp reservations --order-ref A-1001

    Parameters
    ----------
    order_ref
        Of this order.
    sku
        With units of this sku.
    state
        held, committed, acknowledged, fulfilled, released or expired.
    limit
        How many, at most 500.
    page_token
        Go on behind an earlier page.
    json_
        Print as JSON.
    """
    asked = {"order_ref": order_ref, "sku": sku, "state": state, "page_token": page_token}
    answer = _ask("/v1/reservations", asked, limit)
    if json_:
        print(msgspec.json.encode(answer).decode())
        return 0
    for each in answer["reservations"]:
        print("\n".join(map(printable, _found(each))))
    if not answer["reservations"]:
        print("No reservations.")
    _more(answer)
    return 0


def history(
    id: Id = "", *, sku: str = "", kind: str = "", limit: int = 50, page_token: str = "", json_: bool = False
) -> int:
    """Show what happened to a reservation, or what was told of a sku's stock, newest first.

    Asks the API (ATP_API_URL and ATP_API_KEY, else the `atp dev` of this folder).

    Example: atp history --sku TSHIRT-M

    Parameters
    ----------
    sku
        A sku instead of a reservation.
    kind
        Of a sku: only entries of this kind, such as adjusted.
    limit
        How many, at most 500.
    page_token
        Go on behind an earlier page.
    json_
        Print as JSON.
    """
    if bool(id) == bool(sku):
        raise Misused("name a reservation's id, or --sku")
    if kind and id:
        raise Misused("--kind is for --sku")
    path = f"/v1/reservations/{quote(id, safe='')}/history" if id else f"/v1/stock/{quote(sku, safe='')}/entries"
    _show_entries(_ask(path, {"kind": kind, "page_token": page_token}, limit), json_)
    return 0


def audit(
    *, client: str = "", about: str = "", kind: str = "", limit: int = 50, page_token: str = "", json_: bool = False
) -> int:
    """Show who changed what and why: all that one client did, or all that happened to one thing, newest first.

    Asks the API (ATP_API_URL and ATP_API_KEY of an administrator, else the `atp dev` of this folder).

    Example: atp audit --about location:DC1

    Parameters
    ----------
    client
        Everything this client did.
    about
        A reservation's id, a sku, or kind:id of a policy, such as item:TSHIRT-M or client:shop.
    kind
        Only entries of this kind, such as policy-put.
    limit
        How many, at most 500.
    page_token
        Go on behind an earlier page.
    json_
        Print as JSON.
    """
    if bool(client) == bool(about):
        raise Misused("name --client or --about")
    asked = {"client": client, "about": about, "kind": kind, "page_token": page_token}
    _show_entries(_ask("/v1/audit", asked, limit, admin=True), json_)
    return 0


def _ask(path: str, asked: dict[str, str], limit: int, *, admin: bool = False) -> Any:
    if not 1 <= limit <= _PAGE_MAX:
        raise Misused(f"--limit is 1 to {_PAGE_MAX}")
    query = {name: value for name, value in asked.items() if value} | {"limit": str(limit)}
    return find_api(settings.load(), admin=admin).get(f"{path}?{urlencode(query)}")


def _show_entries(answer: Any, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(answer).decode())
        return
    if not answer["entries"]:
        print("Nothing is journaled about that.")
    for each in answer["entries"]:
        print("\n".join(map(printable, _told(each))))
    _more(answer)


def _found(reservation: dict[str, Any]) -> Iterator[str]:
    """One reservation. As lines: beside an id and a time a table has no room for skus on a narrow terminal."""
    order = f", order {reservation['order_ref']}" if reservation["order_ref"] else ""
    how = f"{reservation['state']}{order}, channel {reservation['channel']}"
    yield f"{shown_time(reservation['created_at'])}  {reservation['id']}  {how}"
    yield "    " + ", ".join(f"{line['quantity']:,} × {line['sku']}" for line in reservation["lines"])


def _told(entry: dict[str, Any]) -> Iterator[str]:
    """One entry: what, who, and below it what changed and why. As lines, since no table has the room for it."""
    facts, cause = entry.get("facts", {}), entry.get("cause", {})
    who = entry.get("client") or facts.get("source", "")
    by = f", by {who}" if who else ""
    yield f"{shown_time(entry['at'])}  {entry['position']}  {entry['kind']} {entry['about']}{by}"
    changed = [_changed(field) for field in entry.get("changed", [])]
    yield from (f"    {line}" for line in changed or [f"{name}: {_shown(value)}" for name, value in facts.items()])
    if changed and facts.get("reason"):
        yield f"    reason: {facts['reason']}"
    why = ", ".join(f"{name} {value}" for name, value in cause.items() if name != "client")
    if why:
        yield f"    why: {why}"


def _changed(field: dict[str, Any]) -> str:
    after, before = _shown(field["after"]), field.get("before")
    return f"{field['field']}: {after}" if before is None else f"{field['field']}: {_shown(before)} → {after}"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _more(answer: Any) -> None:
    if token := answer.get("next_page_token"):
        note(f"There are more: --page-token {token}")
