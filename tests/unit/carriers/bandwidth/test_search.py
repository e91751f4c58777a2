"""Whether the carrier's order was made by the criteria of ours."""

from typing import Any

import pytest

from number_orders.carriers.bandwidth.search import other_choice, search_fields, search_type
from tests.unit.carriers.bandwidth.examples import A, a_request, a_search

CITY = {"city": "Raleigh", "state": "NC"}
RATE_CENTER = {"rate_center": "RALEIGH", "state": "NC", "npa": "919"}


def shown(**criteria: Any) -> tuple[str, dict[str, str]]:
    """Return the order type and the fields that Bandwidth shows of an order by these criteria."""
    made = a_search(2, **criteria).criteria
    assert made is not None
    return search_type(made), {"quantity": "2"} | {name.lower(): value for name, value in search_fields(made)}


@pytest.mark.parametrize("criteria", [{"npa": "919"}, CITY, RATE_CENTER, {"npa": "919", "nxx": "555"}])
def test_the_same_criteria_are_no_difference(criteria: dict[str, Any]) -> None:
    order_type, fields = shown(**criteria)
    request = a_search(2, **criteria)

    assert other_choice(request, order_type, fields) is None
    assert other_choice(request, order_type.upper(), {name: value.upper() for name, value in fields.items()}) is None
    assert other_choice(request, order_type, {}) is None, "what is not shown is no difference"
    assert other_choice(request, order_type, {**fields, "tier": "0"}) is None, "nor is what Bandwidth adds"
    assert other_choice(request, None, fields) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ({"npa": "919"}, {"npa": "212"}, "AreaCodeSearchAndOrderType (areacode 212)"),
        ({"npa": "919"}, CITY, "CitySearchAndOrderType (city Raleigh, state NC)"),
        (CITY, {**CITY, "city": "Durham"}, "CitySearchAndOrderType (city Durham, state NC)"),
        (RATE_CENTER, {"lata": "426", "state": "NC", "npa": "919"}, "CombinedSearchAndOrderType"),
    ],
)
def test_other_criteria_are_named(ours: dict[str, Any], theirs: dict[str, Any], words: str) -> None:
    found = other_choice(a_search(2, **ours), *shown(**theirs))

    assert found is not None
    assert found.startswith(words)


def test_a_search_is_no_order_by_name() -> None:
    assert other_choice(a_request(A), *shown(npa="919")) == "AreaCodeSearchAndOrderType (areacode 919)"
    assert other_choice(a_search(2, npa="919"), "ExistingTelephoneNumberOrderType", {}) is not None
    assert other_choice(a_request(A), "ExistingTelephoneNumberOrderType", {}) is None
