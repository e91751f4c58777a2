"""Reading Bandwidth's XML: what is accepted on purpose, and what is not."""

from datetime import UTC, datetime

import pytest

from number_orders.carriers.bandwidth.xml import (
    NumberList,
    read_moment,
    read_numbers,
    read_order,
    read_page,
    read_rejection,
)
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.numbers import E164
from tests.unit.carriers.bandwidth.examples import listed, next_link


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-09-05T23:34:31.553Z", datetime(2024, 9, 5, 23, 34, 31, tzinfo=UTC)),
        ("2015-06-13 16:14:46.0", datetime(2015, 6, 13, 16, 14, 46, tzinfo=UTC)),
        ("2014-01-10T17-34-15Z", datetime(2014, 1, 10, 17, 34, 15, tzinfo=UTC)),
        ("2013-12-20T06", datetime(2013, 12, 20, 6, tzinfo=UTC)),
        ("2021-03-01T10:00:00.123456-05:00", datetime(2021, 3, 1, 15, tzinfo=UTC)),
        ("2021-03-01T10:00:00+0530", datetime(2021, 3, 1, 4, 30, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        (" 2026-01-02 ", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-13-02", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-02-03T25:00:00Z", None),
        ("2026-02-03T00:00:00+99:00", None),
        ("0001-01-01T00:00:00+05:00", None),
        ("03/04/2026", None),
        ("", None),
        (None, None),
    ],
)
def test_moments_are_read_in_every_documented_form(text: str | None, moment: datetime | None) -> None:
    assert read_moment(text) == moment


def test_numbers_are_listed_once_in_their_order() -> None:
    body = b"""<TelephoneNumbers><Count>9</Count>
      <TelephoneNumber>9195550101</TelephoneNumber>
      <TelephoneNumber><FullNumber>+19195550100</FullNumber></TelephoneNumber>
      <FullNumber>19195550101</FullNumber><TelephoneNumber/><TelephoneNumber>x</TelephoneNumber>
      <TelephoneNumber>911</TelephoneNumber></TelephoneNumbers>"""

    assert read_numbers(body) == NumberList((E164("+19195550101"), E164("+19195550100")), unreadable=("x", "911"))


@pytest.mark.parametrize("quantity", ["", "-1", "1.0", "one", "٣", "9" * 5000])
def test_an_unreadable_quantity_is_none(quantity: str) -> None:
    body = f"<OrderResponse><CompletedQuantity>{quantity}</CompletedQuantity></OrderResponse>"

    assert read_order(body.encode()).completed_quantity is None


def test_errors_are_found_wherever_they_stand() -> None:
    body = b"""<DisconnectTelephoneNumberOrderResponse>
      <Errors><Error><ErrorCode>1</ErrorCode></Error></Errors>
      <ErrorList><Error><Code>5006</Code><Description> not yours </Description>
        <TelephoneNumber>9195550100</TelephoneNumber></Error></ErrorList>
      <ResponseStatus><ErrorCode>12</ErrorCode><Description/></ResponseStatus>
      </DisconnectTelephoneNumberOrderResponse>"""

    errors = read_rejection(body).errors

    assert [str(error) for error in errors] == ["1", "5006: not yours", "12"]
    assert [error.e164 for error in errors] == [None, "+19195550100", None]


def test_an_error_without_code_or_text_says_so() -> None:
    body = b"<OrderResponse><ErrorList><Error/></ErrorList></OrderResponse>"

    assert str(read_rejection(body).errors[0]) == "an error without code or words"


@pytest.mark.parametrize(
    ("links", "following"),
    [
        ("", None),
        (next_link("7"), "7"),
        (next_link("a%2Bb"), "a+b"),
        ("<next/>", None),
        ("<next>Link=&lt;https://x/orders?size=3&gt;</next>", None),
        ("<next>https://x y/orders?size=3&amp;page=0aac5809-a57f</next>", "0aac5809-a57f"),
        ("<!-- <next>?page=7</next> -->", None),
        ("<previous>?page=7</previous><last>?page=9</last>", None),
    ],
)
def test_only_the_page_is_taken_from_a_link(links: str, following: str | None) -> None:
    assert read_page(listed(following=links).encode()).next_page == following


def test_long_texts_are_cut() -> None:
    body = f"<OrderResponse><Summary>{'x' * 100_000}</Summary></OrderResponse>"

    assert read_order(body.encode()).summary == "x" * 300


def test_deep_nesting_is_read() -> None:
    depth = 50_000
    body = b"<OrderResponse>" + b"<a>" * depth + b"</a>" * depth + b"</OrderResponse>"

    assert read_order(body).status is None


def test_an_unreadable_answer_keeps_the_first_bytes() -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        read_order(b"<x>" + b"y" * 1000)

    assert caught.value.excerpt == b"<x>" + b"y" * 197
