"""``atp exceptions``: what a person should look at, what it means, and what was done about it."""

from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from cyclopts import Parameter

from atp import config as settings
from atp.cli.client import Api, find_api
from atp.cli.errors import Misused
from atp.cli.output import note, printable, shown_time

Id = Annotated[str, Parameter(help="The exception's id, as the list shows it.")]


def list_exceptions(*, kind: str = "", all_: bool = False, page_token: str = "", json_: bool = False) -> int:
    """List what is open, newest first.

    Asks the API (ATP_API_URL and ATP_API_KEY of an administrator, else the `atp dev` of this folder).

    Example: atp exceptions list --kind shortage

    Parameters
    ----------
    kind
        Only of this kind.
    all_
        Also what is over.
    page_token
        Go on behind an earlier page.
    json_
        Print as JSON.
    """
    asked = {"kind": kind, "state": "all" if all_ else "open", "page_token": page_token}
    answer = _api().get(f"/v1/exceptions?{urlencode({name: value for name, value in asked.items() if value})}")
    if json_:
        print(msgspec.json.encode(answer).decode())
    elif not answer["exceptions"]:
        print("No exceptions.")
    else:
        _print_table(answer["exceptions"])
        if token := answer.get("next_page_token"):
            note(f"There are more: --page-token {token}")
    return 0


def show(id: Id, *, json_: bool = False) -> int:
    """Show one: what happened, what can be done, and how it ended.

    Asks the API (ATP_API_URL and ATP_API_KEY of an administrator, else the `atp dev` of this folder).

    Example: atp exceptions show 17

    Parameters
    ----------
    json_
        Print as JSON.
    """
    found = _api().get(f"/v1/exceptions/{quote(id, safe='')}")
    if json_:
        print(msgspec.json.encode(found).decode())
        return 0
    print(f"{found['id']}: {found['kind']} since {shown_time(found['raised_at'])}, {printable(_about(found))}")
    for name, value in _detail(found):
        print(f"  {name}: {printable(str(value))}")
    print(f"\n{found['meaning']}\n")
    for remedy in found.get("remedies", []):
        print(f"  - {remedy}")
    if reservations := found.get("reservations"):
        print("\nReservations with units there, newest first:\n  " + "\n  ".join(reservations))
    if found.get("resolved_at"):
        print(f"\nEnded {shown_time(found['resolved_at'])}, {printable(_ending(found))}")
    return 0


def _ending(found: dict[str, Any]) -> str:
    why = f": {found['reason']}" if found.get("reason") else ""
    who = f" by {found['resolved_by']}" if found.get("resolved_by") else ""
    return found["resolution"] + who + why


def resolve(
    id: Id,
    *,
    reason: str,
    resolution: str = "",
    transfer: str = "",
    line: str = "",
    from_: str = "",
    to: str = "",
    quantity: int = 0,
    release: str = "",
    of: str = "",
    json_: bool = False,
) -> int:
    """End an exception, with a reason; before, move or release units of a reservation if you say so.

    Asks the API (ATP_API_URL and ATP_API_KEY of an administrator, else the `atp dev` of this folder). Repeating the
    command does nothing twice.

    Example: atp exceptions resolve 17 --reason "two missing" --transfer RESERVATION --line 1 --to DC2 --quantity 2

    Parameters
    ----------
    reason
        Why; kept with who says so.
    resolution
        How it ended, by default accepted, transferred or released. Some kinds wait for a word: `show` says which.
    transfer
        Move units of this reservation first.
    line
        Of a transfer: the reservation's line.
    from_
        Of a transfer: where the units are promised; by default the exception's location.
    to
        Of a transfer: where they are to come from.
    quantity
        Of a transfer: units.
    release
        Give the units of this reservation back first.
    of
        Of a release: held, committed or all.
    json_
        Print as JSON.
    """
    body: dict[str, Any] = {"reason": reason} | ({"resolution": resolution} if resolution else {})
    if actions := _actions(transfer, line, from_, to, quantity, release, of):
        body["actions"] = actions
    answer = _api().post(f"/v1/exceptions/{quote(id, safe='')}/resolve", body, f"exception-{id}")
    if json_:
        print(msgspec.json.encode(answer).decode())
    elif answer.get("resolved_at"):
        print(f"{id} was over already: {printable(_ending(answer))}")
        if actions:
            note("Nothing was moved or released by this call.")
    else:
        print(f"{id}: {printable(answer['resolution'])}")
    return 0


def _actions(
    transfer: str, line: str, source: str, to: str, quantity: int, release: str, of: str
) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = []
    if transfer:
        if not (line and to and quantity > 0):
            raise Misused("--transfer needs --line, --to and --quantity")
        moved = {"reservation": transfer, "line_id": line, "to": to, "quantity": quantity}
        actions.append({"action": "transfer"} | moved | ({"from": source} if source else {}))
    elif line or source or to or quantity:
        raise Misused("--line, --from, --to and --quantity are for --transfer")
    if release:
        actions.append({"action": "release", "reservation": release} | ({"of": of} if of else {}))
    elif of:
        raise Misused("--of is for --release")
    return actions


def _api() -> Api:
    return find_api(settings.load(), admin=True)


def _print_table(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for name in ("id", "kind", "since", "about", "detail", "ended"):
        justify = "right" if name == "id" else "left"
        table.add_column(name, justify=justify, no_wrap=name in ("id", "kind", "since"), overflow="fold")
    for each in found:
        detail = ", ".join(f"{name} {value}" for name, value in _detail(each))
        cells = (
            each["id"],
            each["kind"],
            shown_time(each["raised_at"]),
            _about(each),
            detail,
            each.get("resolution", ""),
        )
        table.add_row(*(escape(printable(cell)) for cell in cells))
    Console().print(table)


def _detail(found: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in found.get("detail", {}).items() if value != ""]


def _about(found: dict[str, Any]) -> str:
    place = "@".join(found[name] for name in ("sku", "location") if name in found)
    named = [f"{name} {found[name]}" for name in ("source", "reservation") if name in found]
    return ", ".join(filter(None, [place, *named])) or "the ledger"
