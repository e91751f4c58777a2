import contextlib

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from number_orders.orders.numbers import E164, e164_from_carrier, is_nanp, national, parse_e164

DIGIT = st.sampled_from("0123456789")
FROM_TWO = st.sampled_from("23456789")
NANP = st.builds(
    lambda npa, b, c, nxx, rest: f"+1{npa}{b}{c}{nxx}{rest}",
    FROM_TWO,
    DIGIT,
    DIGIT,
    FROM_TWO,
    st.text("0123456789", min_size=6, max_size=6),
)
SHAPED = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("+19195550100", id="USA"),
        pytest.param("+18335550199", id="toll-free"),
        pytest.param("+14165550100", id="Canada"),
        pytest.param("+12345678901", id="an area code that no table need know"),
        pytest.param("+31201234567", id="Netherlands"),
        pytest.param("+3197010240000", id="Netherlands, machine to machine, thirteen digits"),
        pytest.param("+442079460018", id="United Kingdom"),
        pytest.param("+390612345678", id="Italy, whose zero belongs to the number"),
        pytest.param("+6834002", id="Niue, seven digits"),
        pytest.param("+80012345678", id="international freephone"),
    ],
)
def test_a_possible_number_is_kept_as_it_is(text: str) -> None:
    """Of every length and plan, known to the tables or not."""
    assert parse_e164(text) == text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param("", "must be E.164", id="nothing"),
        pytest.param("19195550100", "must be E.164", id="no plus sign"),
        pytest.param("+1 919 555 0100", "must be E.164", id="blanks"),
        pytest.param("+1-919-555-0100", "must be E.164", id="dashes"),
        pytest.param(" +19195550100", "must be E.164", id="a blank before"),
        pytest.param("+19195550100\n", "must be E.164", id="a line end"),
        pytest.param("+019195550100", "must be E.164", id="a country code that starts with zero"),
        pytest.param("+123456", "must be E.164", id="six digits"),
        pytest.param("+1234567890123456", "must be E.164", id="sixteen digits"),
        pytest.param("+١٩١٩٥٥٥٠١٠٠", "must be E.164", id="Arabic digits"),
        pytest.param("+1919FLOWERS", "must be E.164", id="letters"),
        pytest.param("+1919555010", "is no North American number", id="a NANP digit short"),
        pytest.param("+191955501000", "is no North American number", id="a NANP digit too many"),
        pytest.param("+11195550100", "is no North American number", id="an area code from 1"),
        pytest.param("+19191550100", "is no North American number", id="an exchange from 1"),
        pytest.param("+999123456789", "nobody uses", id="a country code never given out"),
        pytest.param("+44207946", "wrong length", id="British digits missing"),
        pytest.param("+442079460018000", "wrong length", id="British digits too many"),
        pytest.param("+4479460018", "wrong length", id="London without its area code"),
        pytest.param("+4402079460018", "dialled at home only", id="the British zero"),
        pytest.param("+310201234567", "dialled at home only", id="the Dutch zero"),
    ],
)
def test_any_other_text_is_refused_with_the_rule_it_breaks(text: str, rule: str) -> None:
    """The producer learns what to correct."""
    with pytest.raises(ValueError, match=rule):
        parse_e164(text)


@settings(deadline=None)
@given(st.text() | SHAPED)
def test_every_text_is_a_number_in_its_one_form_or_a_value_error(text: str) -> None:
    """An accepted number is written as the number tables write it: it cannot be held under a second spelling."""
    with contextlib.suppress(ValueError):
        number = parse_e164(text)
        assert phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.E164) == text


@given(NANP)
def test_every_north_american_number_is_possible(text: str) -> None:
    """Area codes open faster than tables are updated."""
    assert is_nanp(parse_e164(text))


@given(NANP)
def test_a_number_in_any_carriers_form_is_read_back_as_the_same_number(text: str) -> None:
    """Ten digits, eleven digits, or E.164."""
    number = parse_e164(text)

    assert len(national(number)) == 10
    for printed in (number, number.removeprefix("+"), national(number), f" {number}\n"):
        assert e164_from_carrier(printed) == number


def test_a_number_of_another_plan_is_read_back_too() -> None:
    """Carriers write it with or without the plus sign."""
    number = E164("+31201234567")

    assert e164_from_carrier("31201234567") == e164_from_carrier("+31201234567") == number
    assert not is_nanp(number)


@pytest.mark.parametrize(
    "text", ["", "n/a", "919-555-0100", "(919) 555 0100", "1_919", "٩١٩٥٥٥٠١٠٠", "9195550", "+919"]
)
def test_text_that_is_not_a_number_is_refused(text: str) -> None:
    """Never guessed: an answer with such a text is unreadable."""
    with pytest.raises(ValueError, match=r"E\.164|is not a telephone number|wrong length"):
        e164_from_carrier(text)


def test_the_error_message_shortens_a_long_text() -> None:
    """A carrier's page of HTML does not end up in the log."""
    with pytest.raises(ValueError, match="is not a telephone number") as caught:
        e164_from_carrier("<html>" * 1000)

    assert len(str(caught.value)) < 80
