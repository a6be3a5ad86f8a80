"""What references are asked for is answered by them, with as much as the service has to say."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import json

from atp.api.resources.availability import AvailabilityList
from atp.bench import echo
from atp.bench.asks import Asks
from atp.bench.shapes import MANY, hot
from atp.bench.subjects import LIKE, OF, SUBJECTS
from tests.rooms.api.conftest import in_process

pytestmark = pytest.mark.anyio


@pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")  # as its docs have it
@pytest.mark.parametrize("kind", LIKE)
@pytest.mark.parametrize("reference", [lambda: echo.bare, echo.standard], ids=["bare", "standard"])
async def test_a_reference_answers_what_it_is_asked(kind: str, reference: Callable[[], Any]) -> None:
    app = reference()
    skus = hot("many", 1, MANY).skus
    asks = LIKE[kind](Asks("http://127.0.0.1:1", "key"), skus if kind == "query" else skus[:2])
    assert asks
    for before, after in asks[:20]:
        head, _, body = (before + b"key" + after).partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, path, _ = first.split()
        headers = dict(line.lower().split(": ", 1) for line in lines)
        assert int(headers.get("content-length", 0)) == len(body)
        status, _, answer = await in_process(app, method, path, headers, body)
        assert status == (200 if method == "GET" or path.endswith("/query") else 201)
        if path.endswith("/query"):
            assert (
                len(json.decode(answer, type=AvailabilityList).availability) == MANY == len(json.decode(body)["skus"])
            )


def test_every_command_measures_what_there_is() -> None:
    assert {name for names in OF.values() for name in names} == set(SUBJECTS)
    assert {subject.reference for subject in SUBJECTS.values()} == set(LIKE)
