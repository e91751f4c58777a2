"""What no carrier can have is refused; whatever a carrier may have is not, new area codes included."""

import phonenumbers
import pytest

from number_orders.orders.numbering import TOLL_FREE_NPAS, npa_fault, number_fault, nxx_fault, state_fault
from number_orders.orders.numbers import parse_e164


@pytest.mark.parametrize("npa", ["211", "411", "911", "390", "290", "370", "960", "555", "822", "976", "880", "889"])
def test_codes_that_are_no_area_codes_are_refused(npa: str) -> None:
    assert "is no area code" in str(npa_fault(npa))


@pytest.mark.parametrize("npa", ["900", "700", "710", "456", "500", "533", "600"])
def test_codes_whose_numbers_are_not_sold_are_refused(npa: str) -> None:
    assert "do not sell" in str(npa_fault(npa))


def test_every_area_code_with_numbers_can_be_ordered() -> None:
    """As libphonenumber knows them; those of the future, which it does not know, can be ordered as well."""
    for npa in map(str, range(200, 1000)):
        kind = phonenumbers.number_type(phonenumbers.parse(f"+1{npa}2345678"))
        is_toll_free = kind == phonenumbers.PhoneNumberType.TOLL_FREE
        if kind in {phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE, phonenumbers.PhoneNumberType.TOLL_FREE}:
            assert npa_fault(npa, toll_free=is_toll_free) is None, npa
    assert npa_fault("235") is None


def test_toll_free_and_local_codes_are_kept_apart() -> None:
    assert "833 is a toll-free code" in str(npa_fault("833"))
    assert "919 is no toll-free code" in str(npa_fault("919", toll_free=True))
    assert [npa_fault(npa, toll_free=True) for npa in sorted(TOLL_FREE_NPAS)] == [None] * 7


def test_services_and_test_codes_are_no_exchanges() -> None:
    assert all(nxx_fault(nxx) for nxx in ("211", "911", "950", "958", "959", "976"))
    assert not any(nxx_fault(nxx) for nxx in ("555", "234", "910"))


@pytest.mark.parametrize(
    ("state", "country", "is_known"),
    [
        ("NC", "USA", True),
        ("nc", None, True),
        ("North Carolina", "USA", True),
        ("ON", "CAN", True),
        ("ontario", "CAN", True),
        ("PQ", "CAN", True),
        ("PR", "USA", True),
        ("XX", "USA", False),
        ("XX", None, False),
        ("NC", "CAN", False),
        ("ON", "USA", False),
        ("Narnia", None, False),
        ("anything", "JAM", True),
    ],
)
def test_states_are_those_of_the_country(state: str, country: str | None, is_known: bool) -> None:
    assert (state_fault(state, country) is None) is is_known


@pytest.mark.parametrize(
    "number", ["+19115550100", "+15555550100", "+19765550100", "+19199110100", "+12129760100", "+881612345678"]
)
def test_numbers_that_nobody_has_are_refused_for_every_kind_of_order(number: str) -> None:
    e164 = parse_e164(number)
    assert number_fault(e164, is_bought=True)
    assert number_fault(e164, is_bought=False)


@pytest.mark.parametrize("number", ["+19005550100", "+17005550100", "+15005550100", "+449012345678"])
def test_numbers_that_are_not_sold_cannot_be_bought_but_removed(number: str) -> None:
    e164 = parse_e164(number)
    assert number_fault(e164, is_bought=True)
    assert number_fault(e164, is_bought=False) is None


@pytest.mark.parametrize("number", ["+19195550100", "+18335550100", "+18009110100", "+442079460000", "+493023123456"])
def test_ordinary_numbers_can_be_bought(number: str) -> None:
    """The exchange 555 is used in fiction and by practice carriers. Toll-free numbers may have any exchange."""
    assert number_fault(parse_e164(number), is_bought=True) is None
