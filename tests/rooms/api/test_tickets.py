"""Tickets: nobody makes one, and nobody moves one to another customer, client or campaign."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from hypothesis import given, settings
from hypothesis import strategies as st

from atp.api.tickets import DRAWS, Bearer, Ticket, arrival, draw, read, sign, used_name

OLD, NEW = b"o" * 32, b"n" * 32
OURS = Bearer("bf", "shop", "c-1")
TICKET = Ticket(True, 4711, 1_000, 2_000)

texts = st.text(max_size=12)
bearers = st.builds(Bearer, texts, texts, texts)
made = st.builds(Ticket, st.booleans(), st.integers(0, DRAWS - 1), st.integers(0, 2**42), st.integers(0, 2**42))


@given(bearers, bearers, made)
@settings(max_examples=300, deadline=None)
def test_a_ticket_is_good_for_its_bearer_alone(bearer: Bearer, other: Bearer, ticket: Ticket) -> None:
    text = sign(NEW, bearer, ticket)
    assert read([NEW], bearer, text) == ticket
    assert read([b"another" * 5], bearer, text) is None
    if other != bearer:
        assert read([NEW], other, text) is None
        assert used_name(other, ticket) != used_name(bearer, ticket)
        assert arrival(other) != arrival(bearer)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_changed_of_a_ticket_makes_it_worthless(data: st.DataObject) -> None:
    raw = bytearray(urlsafe_b64decode(pad(sign(NEW, OURS, TICKET))))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    assert read([NEW], OURS, urlsafe_b64encode(raw).rstrip(b"=").decode()) is None
    cut = data.draw(st.integers(0, len(raw) - 1))
    assert read([NEW], OURS, urlsafe_b64encode(raw[:cut]).rstrip(b"=").decode()) is None


@given(st.one_of(st.text(max_size=200), st.binary(max_size=100).map(lambda raw: urlsafe_b64encode(raw).decode())))
@settings(max_examples=300, deadline=None)
def test_nothing_else_is_a_ticket(text: str) -> None:
    assert read([NEW, OLD], OURS, text) is None


def pad(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def test_a_ticket_has_one_text() -> None:
    text = sign(NEW, OURS, TICKET)
    assert [other for other in (text + "=", text + " ", text + "\n", text[:-1]) if read([NEW], OURS, other)] == []


def test_while_a_secret_is_replaced_both_are_good_and_the_new_one_signs() -> None:
    before, after = sign(OLD, OURS, TICKET), sign(NEW, OURS, TICKET)
    assert read([NEW, OLD], OURS, before) == read([NEW, OLD], OURS, after) == TICKET
    assert read([NEW], OURS, before) is None


def test_a_draw_is_fair_and_the_same_however_often_one_comes() -> None:
    drawn = [draw(NEW, Bearer("bf", "shop", f"c-{n}")) for n in range(20_000)]
    assert len(set(drawn)) == len(drawn)
    assert draw(NEW, Bearer("bf", "shop", "c-0")) == drawn[0] != draw(NEW, Bearer("eve", "shop", "c-0"))
    places = [Ticket(True, number, 0, 0).place(20_000) for number in drawn]
    assert 0 <= min(places) <= max(places) < 20_000
    tenths = [sum(place // 2_000 == tenth for place in places) for tenth in range(10)]
    assert 1_850 < min(tenths) <= max(tenths) < 2_150  # 3.5 deviations of what chance does
    assert 9_500 < sum(places[:2_000]) / 2_000 < 10_500  # who came first has no better places than the others
    assert Ticket(False, 20_123, 0, 0).place(20_000) == 20_123
