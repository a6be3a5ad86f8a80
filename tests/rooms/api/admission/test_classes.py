"""Every route has a class, and a raw path finds it before anybody routed it."""

import pytest
from litestar.exceptions import ImproperlyConfiguredException

from atp.api.admission.classes import CLASSES, Class, Matcher
from atp.api.routes import ROUTES

MATCHER = Matcher((route.method, route.template, route.name) for route in ROUTES)


def test_every_route_has_a_class() -> None:
    assert {route.name for route in ROUTES} <= set(CLASSES)


def test_a_route_without_a_class_fails_the_start() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="forgotten"):
        Matcher([("GET", "/v1/forgotten", "forgotten")])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_path_has_the_class_of_its_route(route) -> None:
    path = "/".join("a%2Fb" if part.startswith("{") else part for part in route.template.split("/"))
    assert MATCHER.match(route.method, path.encode()) is CLASSES[route.name]
    assert MATCHER.match(route.method, path.encode() + b"/") is CLASSES[route.name]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", b"/"), ("GET", b"/v1/none"), ("DELETE", b"/v1/reservations"), ("GET", b"/v1/reservations/a/b/c"),
     ("POST", b"/v1/reservations/a/refund"), ("GET", b"//"), ("GET", b"/v1/%00"), ("GET", b"/schema/openapi.json")],
)  # fmt: skip
def test_what_no_route_has_comes_last(method: str, path: bytes) -> None:
    assert MATCHER.match(method, path) is Class.P3


def test_what_was_sold_comes_before_what_is_sold() -> None:
    for name in ("confirm", "release", "extend", "fulfil", "transfer", "acknowledge", "health_ready"):
        assert CLASSES[name] is Class.P0
    assert CLASSES["reserve"] is Class.P1
    assert CLASSES["get_availability"] is Class.P2
    assert CLASSES["put_item"] is Class.P3
