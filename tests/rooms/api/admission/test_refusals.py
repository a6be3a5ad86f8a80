"""What a refusal says, and when to come back."""

from collections import Counter
from typing import Any

import pytest
from msgspec import json

from atp.api.admission.refusals import refuse, spread
from atp.api.problems import DEADLINE_TOO_SHORT, LEDGER_UNAVAILABLE, OVERLOADED, RECOVERING, Kind, ProblemView

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("asked", "low", "high"), [(0, 1, 2), (0.2, 1, 2), (4, 3, 5), (30, 22, 38), (900, 22, 38)])
def test_retry_after_is_bounded_and_spread(asked: float, low: int, high: int) -> None:
    drawn = Counter(spread(asked) for _ in range(2_000))
    assert low <= min(drawn) <= max(drawn) <= high
    assert len(drawn) > 1  # those refused together do not come back together
    mean = sum(second * count for second, count in drawn.items()) / 2_000
    assert mean == pytest.approx(min(30, max(1, asked)), rel=0.2)


@pytest.mark.parametrize("kind", [OVERLOADED, DEADLINE_TOO_SHORT, LEDGER_UNAVAILABLE, RECOVERING])
async def test_it_is_a_whole_problem(kind: Kind) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    id = 'a"b\\c'  # a caller may choose it
    assert await refuse(kind, send, ((b"x-more", b"1"),), id, 2.0) == 503
    start, body = sent
    headers = dict(start["headers"])
    problem = json.decode(body["body"], type=ProblemView)
    assert problem.type.endswith(f":{kind.code}")
    assert (problem.status, problem.title, problem.request_id) == (503, kind.title, id)
    assert "Nothing was applied" in problem.detail
    assert headers[b"content-length"] == str(len(body["body"])).encode()
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-request-id"] == id.encode()
    assert headers[b"x-more"] == b"1"
    assert 1 <= int(headers[b"retry-after"]) <= 3
