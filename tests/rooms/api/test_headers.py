"""Headers that are given twice, and bodies in an encoding or a charset that is not read: refused, never guessed."""

import gzip
from uuid import uuid4

import httpx
import pytest

from .conftest import Api, assert_problem

pytestmark = pytest.mark.anyio

BODY = b'{"lines":[{"sku":"A","quantity":1}]}'
JSON = ("content-type", "application/json")


async def ask(api: Api, method: str, path: str, *headers: tuple[str, str], body: bytes = b"") -> httpx.Response:
    """With exactly these headers beside the operator's key for policies, the shop's for the rest."""
    key = api.admin if "/locations" in path else api.key
    return await api.http.request(
        method, path, headers=[("authorization", f"Bearer {key}"), *headers], content=body or None
    )


@pytest.mark.parametrize("second", ["two", "one", ""])
async def test_an_idempotency_key_comes_once(api: Api, second: str) -> None:
    await api.stock("A", 5)
    keys = ("idempotency-key", "one"), ("Idempotency-Key", second)
    for order in (keys, keys[::-1]):
        problem = assert_problem(
            await ask(api, "POST", "/v1/reservations", JSON, *order, body=BODY), 400, "invalid-request"
        )
        assert problem["errors"] == [
            {"detail": "The header Idempotency-Key is given more than once.", "header": "Idempotency-Key"}
        ]
    assert await api.ats("A") == 5


async def test_a_repeated_if_none_match_is_one_list(api: Api) -> None:
    await api.stock("A", 5)
    etag = (await ask(api, "GET", "/v1/availability/A")).headers["etag"]
    for _ in range(2):  # the second is answered from what is prepared
        for tags in (('"x"', etag), (etag, '"x"')):
            lines = [("if-none-match", tag) for tag in tags]
            assert (await ask(api, "GET", "/v1/availability/A", *lines)).status_code == 304
    answer = await ask(api, "GET", "/v1/availability/A", ("if-none-match", '"x"'), ("if-none-match", '"y"'))
    assert answer.status_code == 200


async def test_two_keys_of_two_clients_are_none(api: Api) -> None:
    other = f"Bearer {await api.add_client('other', ['availability:read'])}"
    await api.stock("A", 5)
    for key in (api.key, other.removeprefix("Bearer ")):  # both are known here
        assert (await api.send("GET", "/v1/availability/A", key=key)).status_code == 200
    assert_problem(await ask(api, "GET", "/v1/availability/A", ("authorization", other)), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([("if-match", '"1"'), ("if-match", '"2"')], "If-Match"),
        ([("if-match", '"1"'), ("if-match", '"1"')], "If-Match"),
        ([("if-none-match", "*"), ("if-none-match", '"1"')], "If-None-Match"),
        ([("if-none-match", '"1"')], "If-None-Match"),
    ],
)
async def test_preconditions_of_a_put_are_one_value(api: Api, lines: list[tuple[str, str]], named: str) -> None:
    for order in (lines, lines[::-1]):
        answer = await ask(api, "PUT", "/v1/locations/DC1", JSON, *order, body=b'{"kind":"warehouse"}')
        assert assert_problem(answer, 400, "invalid-request")["errors"][0]["header"] == named
    assert await api.ledger.policy("location", "DC1") is None


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "identity, gzip", "x"])
async def test_a_body_in_another_encoding(api: Api, encoding: str) -> None:
    headers = {"content-type": "application/json", "content-encoding": encoding}
    for body in (gzip.compress(BODY), BODY):
        answer = await api.send("POST", "/v1/reservations", content=body, headers=headers)
        problem = assert_problem(answer, 415, "unsupported-media-type")
        assert problem["errors"][0]["header"] == "Content-Encoding"
        assert answer.headers["accept-encoding"] == "identity"


async def test_a_body_as_it_is_may_say_so(api: Api) -> None:
    await api.stock("A", 5)
    headers = {"content-type": "application/json", "content-encoding": "Identity"}
    assert (await api.send("POST", "/v1/reservations", content=BODY, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ("; charset=utf-8", 201), (';charset="UTF-8"', 201), ("; charset=utf8; x=y", 201), ("; x=y", 201),
        ("; charset=iso-8859-1", 415), (';x=y;charset = "utf-16"', 415), ("; charset=utf-8; charset=latin1", 415),
        ("; charset=", 415),
    ],
)  # fmt: skip
async def test_json_is_utf_8(api: Api, parameters: str, status: int) -> None:
    await api.stock("A", 5)
    headers = {"content-type": f"application/json{parameters}"}
    answer = await api.send("POST", "/v1/reservations", content=BODY, headers=headers)
    if status == 201:
        assert answer.status_code == 201, answer.text
    else:
        assert assert_problem(answer, 415, "unsupported-media-type")["errors"][0]["header"] == "Content-Type"


async def test_two_content_types_are_none(api: Api) -> None:
    key = ("idempotency-key", uuid4().hex)
    answer = await ask(api, "POST", "/v1/reservations", key, JSON, ("content-type", "text/plain"), body=BODY)
    assert_problem(answer, 415, "unsupported-media-type")
