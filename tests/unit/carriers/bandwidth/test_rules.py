"""What Bandwidth would refuse is refused before it is sent, with the field and the rule."""

from typing import Any

import pytest

from number_orders.carriers.bandwidth.rules import OPTIONS
from number_orders.orders.errors import Fault
from number_orders.orders.model import Criteria, Kind, OrderRequest, WhenTainted
from number_orders.orders.numbers import E164
from tests.unit.carriers.bandwidth.examples import BANDWIDTH, A, B, a_request, a_search


def rules(request: OrderRequest) -> dict[str, str]:
    return {fault.field: fault.rule for fault in BANDWIDTH.check(request)}


GOOD: list[OrderRequest] = [
    a_request(A),
    a_request(A, B, name="n" * 50, notes="for ourselves", when_tainted=WhenTainted.WAIT),
    a_request(E164("+441224003845")),
    a_request(A, options={"site_id": "743", "peer_id": 5, "auto_activate": True, "reservation_ids": ("a-1",)}),
    a_request(A, options={"voice_configuration_package_id": "d21315af-9b5b-4b45-a6f4-9106cbfe87d1"}),
    a_search(1, country="CAN", npa="416"),
    a_search(5000, state="NC"),
    a_search(2, zip="27601-1234", local_calling_area=False),
    a_search(2, npa="919", nxx="439", thousands_block="0", lata="426", local_calling_area=True),
    a_search(2, rate_center="ST. JOHN'S", state="NF", zip="27601"),
    a_search(2, vanity="2PIZZA", npa="919", state="NC", vanity_at_end=True),
    a_search(2, npa="919", request={"allow_backorder": True}),
    a_search(2, toll_free_pattern="80*", request={"allow_backorder": True}),
]


@pytest.mark.parametrize("request_", GOOD)
def test_a_good_order_has_no_faults(request_: OrderRequest) -> None:
    assert BANDWIDTH.check(request_) == ()


def test_a_kind_that_is_not_offered_is_the_only_fault() -> None:
    assert BANDWIDTH.check(a_request(A, kind=Kind.ADD_MESSAGING_NUMBERS, range_size=10)) == (
        Fault("kind", "must be new_numbers or remove_numbers: Bandwidth does not take add_messaging_numbers"),
    )


BAD: list[tuple[OrderRequest, str, str]] = [
    (a_request(A, range_size=10), "range_size", "not offered"),
    (a_request(A, account="west"), "account", "options.site_id"),
    (a_request(A, when_tainted=WhenTainted.SPLIT), "when_tainted", "removals"),
    (a_request(A, name=""), "name", "1 to 50"),
    (a_request(A, name="   "), "name", "printable"),
    (a_request(A, name="n" * 51), "name", "1 to 50"),
    (a_request(A, name="tab\there"), "name", "printable"),
    (a_request(A, name="nul\0"), "name", "printable"),
    (a_request(A, name="lone \ud800"), "name", "printable"),
    (a_request(A, A), "numbers", "once"),
    (a_request(*(E164(f"+1919{n:07}") for n in range(2_000_000, 2_005_001))), "numbers", "5000"),
    (a_search(0, npa="919"), "quantity", "1 to 5000"),
    (a_search(5001, npa="919"), "quantity", "1 to 5000"),
    (a_request(criteria=Criteria(npa="919")), "quantity", "1 to 5000"),
    (a_request(A, allow_backorder=True), "allow_backorder", "named numbers"),
    (a_search(1, npa="919", nxx="439", request={"allow_backorder": True}), "allow_backorder", "NPA-NXX"),
    (a_search(1, npa="919", vanity="PIZZA", request={"allow_backorder": True}), "allow_backorder", "vanity"),
    (
        a_search(1, number_type="toll_free", vanity="PIZZA", request={"allow_backorder": True}),
        "allow_backorder",
        "vanity",
    ),
    (a_search(1, country="GBR", city="London"), "criteria.country", "search first, then order the numbers by name"),
    (a_search(1, country="usa", npa="919"), "criteria.country", "USA and CAN"),
    (a_search(1, number_type="mobile", npa="919"), "criteria.number_type", "local or toll_free"),
    (a_search(1), "criteria", "must say where"),
    (a_search(1, country="USA", number_type="local"), "criteria", "must say where"),
    (a_search(1, npa="119"), "criteria.npa", "first 2-9"),
    (a_search(1, npa="9190"), "criteria.npa", "three digits"),
    (a_search(1, npa=""), "criteria.npa", "three digits"),
    (a_search(1, npa="٩١٩"), "criteria.npa", "three digits"),
    (a_search(1, npa="919", nxx="039"), "criteria.nxx", "first 2-9"),
    (a_search(1, nxx="439", state="NC"), "criteria.nxx", "needs criteria.npa"),
    (a_search(1, npa="919", thousands_block="1"), "criteria.thousands_block", "needs criteria.nxx"),
    (a_search(1, npa="919", nxx="439", thousands_block="12"), "criteria.thousands_block", "one digit"),
    (a_search(1, city="RALEIGH"), "criteria.city", "needs criteria.state"),
    (a_search(1, city="\x07", state="NC"), "criteria.city", "printable"),
    (a_search(1, rate_center="RALEIGH"), "criteria.rate_center", "needs criteria.state"),
    (a_search(1, rate_center="x" * 101, state="NC"), "criteria.rate_center", "1 to 100"),
    (a_search(1, state="North Carolina"), "criteria.state", "two letters"),
    (a_search(1, lata="426426"), "criteria.lata", "five digits"),
    (a_search(1, zip="2760"), "criteria.zip", "ZIP"),
    (a_search(1, zip="27601-12"), "criteria.zip", "ZIP"),
    (a_search(1, vanity="PIZ", npa="919"), "criteria.vanity", "4 to 7"),
    (a_search(1, vanity="PIZZAPIE", npa="919"), "criteria.vanity", "4 to 7"),
    (a_search(1, vanity="PIZ-A", npa="919"), "criteria.vanity", "letters and digits"),
    (a_search(1, vanity="PIZZA"), "criteria.vanity", "needs criteria.npa, criteria.state"),
    (a_search(1, vanity="PIZZA", npa="919", zip="27601"), "criteria.zip", "local vanity"),
    (a_search(1, vanity="PIZZA", npa="919", nxx="439"), "criteria.nxx", "local vanity"),
    (a_search(1, npa="919", vanity_at_end=True), "criteria.vanity_at_end", "needs criteria.vanity"),
    (a_search(1, number_type="toll_free"), "criteria.number_type", "needs criteria.vanity or"),
    (a_search(1, number_type="toll_free", vanity="CASH", npa="800"), "criteria.npa", "toll-free"),
    (a_search(1, number_type="toll_free", vanity="CASH", vanity_at_end=True), "criteria.vanity_at_end", "local"),
    (
        a_search(1, number_type="toll_free", vanity="CASH", toll_free_pattern="8**"),
        "criteria.toll_free_pattern",
        "cannot go with criteria.vanity",
    ),
    (a_search(1, number_type="local", toll_free_pattern="8**"), "criteria.toll_free_pattern", "number_type local"),
    (a_search(1, toll_free_pattern="8**", local_calling_area=True), "criteria.local_calling_area", "toll-free"),
    (a_search(1, toll_free_pattern="800"), "criteria.toll_free_pattern", "three characters"),
    (a_search(1, toll_free_pattern="9**"), "criteria.toll_free_pattern", "three characters"),
    (a_search(1, toll_free_pattern="8***"), "criteria.toll_free_pattern", "three characters"),
    (a_search(1, npa="919", local_calling_area=True), "criteria.local_calling_area", "npa and nxx alone"),
    (
        a_search(1, rate_center="X", state="NC", zip="27601", local_calling_area=True),
        "criteria.local_calling_area",
        "rate_center and state alone",
    ),
    (
        a_search(1, npa="919", nxx="439", zip="27601", local_calling_area=True),
        "criteria.local_calling_area",
        "npa and nxx alone",
    ),
    (a_request(A, options={"siteid": "1"}), "options.siteid", "unknown; Bandwidth knows site_id"),
    (a_request(A, options={"site_id": "../1"}), "options.site_id", "digits"),
    (a_request(A, options={"site_id": True}), "options.site_id", "digits"),
    (a_request(A, options={"site_id": None}), "options.site_id", "digits"),
    (a_request(A, options={"peer_id": 1.5}), "options.peer_id", "digits"),
    (a_request(A, options={"peer_id": -1}), "options.peer_id", "digits"),
    (a_request(A, options={"auto_activate": "true"}), "options.auto_activate", "true or false"),
    (a_request(A, options={"requirements_package_id": 7}), "options.requirements_package_id", "letters, digits"),
    (
        a_request(A, options={"voice_configuration_package_id": "<x>"}),
        "options.voice_configuration_package_id",
        "letters, digits",
    ),
    (a_request(A, options={"reservation_ids": "a-1"}), "options.reservation_ids", "list"),
    (a_request(A, options={"reservation_ids": []}), "options.reservation_ids", "list"),
    (a_request(A, options={"reservation_ids": ["a", 2]}), "options.reservation_ids", "list"),
    (a_request(A, B, options={"reservation_ids": ["a", "b", "c"]}), "options.reservation_ids", "more than the numbers"),
    (a_request(A, B, options={"reservation_ids": ["a", "a"]}), "options.reservation_ids", "once only"),
    (a_request(E164("+441224003845"), options={"reservation_ids": ["a"]}), "options.reservation_ids", "North American"),
    (a_request(A, options={"reservation_ids": {"a": 1}}), "options.reservation_ids", "list"),
    (a_search(1, npa="919", request={"options": {"reservation_ids": ["a"]}}), "options.reservation_ids", "named"),
]


@pytest.mark.parametrize(("request_", "field", "words"), BAD, ids=[f"{bad[1]}-{n}" for n, bad in enumerate(BAD)])
def test_a_fault_names_its_field_and_the_rule(request_: OrderRequest, field: str, words: str) -> None:
    found = rules(request_)

    assert field in found
    assert words in found[field]


def test_all_faults_are_returned_together() -> None:
    request = a_search(
        0, npa="1", zip="x", request={"name": "", "account": "a", "options": {"site_id": "x", "colour": "red"}}
    )

    assert set(rules(request)) == {
        "account",
        "name",
        "quantity",
        "criteria.npa",
        "criteria.zip",
        "options.site_id",
        "options.colour",
    }


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("value", [None, object(), b"x", {}, -1.0, "", "\0"])
def test_every_option_refuses_something(option: str, value: Any) -> None:
    assert f"options.{option}" in rules(a_request(A, options={option: value}))
