"""CM.com's restrictions, in the form that all carriers' have."""

import pytest

from number_orders.carriers.cm.market import CMMarket
from number_orders.carriers.market import Restriction, RestrictionsQuery
from number_orders.orders.errors import InquiryRefused
from tests.unit.carriers.cm.examples import ACCOUNT, DUTCH, answered, restricted
from tests.unit.carriers.conversations import first_request, inquire

MARKET = CMMarket(ACCOUNT, {"NLD:local": DUTCH, "NLD:national": DUTCH})


def test_quantity_and_ranges_are_two_restrictions() -> None:
    requests, result = inquire(
        MARKET.restrictions(RestrictionsQuery("NLD", "local")), answered(200, restricted(10, 100))
    )

    assert len(requests) == 1
    assert result == (
        Restriction("NLD", "quantity", "at most 1000 in one order", number_type="local"),
        Restriction("NLD", "range_size", "one of 10, 100", number_type="local"),
    )


def test_every_type_with_a_profile_is_asked_about() -> None:
    _, result = inquire(
        MARKET.restrictions(RestrictionsQuery("NLD")),
        answered(200, restricted(10)),
        answered(200, restricted(phoneNumberType="NATIONAL", maximumQuantity=None)),
    )

    assert [(rule.number_type, rule.rule) for rule in result] == [
        ("local", "at most 1000 in one order"),
        ("local", "one of 10"),
        ("national", "not said"),
        ("national", "no ranges: one by one"),
    ]


@pytest.mark.parametrize(
    ("wanted", "field", "words"),
    [
        (RestrictionsQuery("DEU"), "criteria.country", "there are NLD"),
        (RestrictionsQuery("NLD", "mobile"), "criteria.number_type", "must be one of local"),
        (RestrictionsQuery("NLD", "toll_free"), "criteria.number_type", "there are NLD:local, NLD:national"),
    ],
)
def test_a_country_or_type_without_a_profile_is_refused(wanted: RestrictionsQuery, field: str, words: str) -> None:
    with pytest.raises(InquiryRefused) as refused:
        first_request(MARKET.restrictions(wanted))

    (fault,) = refused.value.faults
    assert fault.field == field
    assert words in fault.rule


def test_without_profiles_the_refusal_says_so() -> None:
    with pytest.raises(InquiryRefused, match="there are none"):
        first_request(CMMarket(ACCOUNT, {}).restrictions(RestrictionsQuery("NLD")))
