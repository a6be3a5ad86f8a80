"""What a caller sees of a hold that a shortage took (R28)."""

import pytest

from atp.domain.commands import Affect
from atp.domain.entries import ShortageFound
from atp.domain.outcomes import Outcome

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio


async def test_a_revoked_hold_answers_why(api: Api) -> None:
    await api.stock("A", 5)
    body = {"on_shortage": "revoke_holds"}
    put = await api.send("PUT", "/v1/items/A", key=api.admin, json=body)
    assert put.status_code == 200, put.text
    assert (put.json()["on_shortage"], put.json()["victims"]) == ("revoke_holds", "newest")
    kept, revoked = await api.reserve("A", 2), await api.reserve("A", 3)
    await api.stock("A", 4)
    entries = await api.ledger.read_entries(0, 0, 1_000)
    (found,) = (entry for entry in entries if isinstance(entry, ShortageFound))
    page = Affect("A", "DC1", found.seq, 0, 1, [revoked.json()["id"], kept.json()["id"]], True)
    assert (await api.ledger.submit(page)).outcome is Outcome.APPLIED
    answer = await api.send("POST", f"/v1/reservations/{revoked.json()['id']}/confirm")
    assert assert_problem(answer, 409, "reservation-not-active")["reason"] == "shortage"
    assert (await api.send("GET", f"/v1/reservations/{revoked.json()['id']}")).json()["state"] == "released"
    assert (await api.send("POST", f"/v1/reservations/{kept.json()['id']}/confirm")).status_code == 200
    assert await api.ats("A") == 2
