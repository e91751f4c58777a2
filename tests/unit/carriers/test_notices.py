"""The address of an order is derived from a secret and its reference, and nobody guesses one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_orders.carriers.notices import NoticeAddresses
from number_orders.orders.model import CarrierName

CARRIER = CarrierName("cm")
REFERENCE = "5f5c2a44-0000-8000-8000-000000000001"
ADDRESSES = NoticeAddresses("https://numbers.example/hooks/", b"s" * 32)


def token_of(url: str | None) -> str:
    assert url is not None
    return url.rpartition("/")[2]


def test_an_address_names_carrier_and_order_and_has_a_token() -> None:
    url = ADDRESSES.of_order(CARRIER, REFERENCE)

    assert url is not None
    assert url.startswith(f"https://numbers.example/hooks/notices/cm/{REFERENCE}/")
    assert len(token_of(url)) == 24
    assert ADDRESSES.is_genuine(CARRIER, REFERENCE, token_of(url))


def test_a_token_is_of_one_order_at_one_carrier() -> None:
    token = token_of(ADDRESSES.of_order(CARRIER, REFERENCE))

    assert not ADDRESSES.is_genuine(CARRIER, REFERENCE[:-1] + "2", token)
    assert not ADDRESSES.is_genuine(CarrierName("other"), REFERENCE, token)


@given(st.text(max_size=40))
def test_no_other_token_is_genuine(token: str) -> None:
    assert not ADDRESSES.is_genuine(CARRIER, REFERENCE, token)


def test_addresses_from_the_secret_before_are_still_valid() -> None:
    """An order lives for days, and its carrier knows only the address that it was sent with."""
    before = ADDRESSES
    now = NoticeAddresses(before.public_url, b"t" * 32, before.secret)
    token = token_of(before.of_order(CARRIER, REFERENCE))

    assert now.is_genuine(CARRIER, REFERENCE, token)
    assert token_of(now.of_order(CARRIER, REFERENCE)) != token
    assert not NoticeAddresses(before.public_url, b"t" * 32).is_genuine(CARRIER, REFERENCE, token)


@pytest.mark.parametrize("token", ["", "x"])
def test_without_a_secret_orders_have_no_addresses(token: str) -> None:
    none = NoticeAddresses("https://numbers.example")

    assert none.of_order(CARRIER, REFERENCE) is None
    assert not none.is_genuine(CARRIER, REFERENCE, token)
    assert none.of_carrier(CARRIER) == "https://numbers.example/notices/cm"
