"""What Swift would refuse is refused before it is sent, with the field and the rule."""

from typing import Any

import pytest

from number_orders.orders.model import Kind, OrderRequest, WhenTainted
from number_orders.orders.numbers import E164
from tests.unit.carriers.swift.examples import CARRIER, ONE, TWO, naming, new_numbers, removal

ADD = Kind.ADD_MESSAGING_NUMBERS

GOOD = [
    new_numbers(),
    new_numbers(1000, criteria={}),
    new_numbers(criteria={"country": "CAN", "number_type": "tendlc", "npa": "416", "nxx": "555", "lata": "888"}),
    new_numbers(criteria={"state": "Ontario", "rate_center": "TORONTO"}, account="01K3S620PA5JPWPR10F0000001"),
    naming(ADD, ONE, TWO, options={"mms_enabled": False, "api_key_ids": ["01KBC4VZE1CFMG5MAB089000001"]}),
    naming(ADD, ONE, options={"mms_enabled": None}),
    removal(ONE, when_tainted=WhenTainted.SPLIT),
    removal(ONE, TWO, when_tainted=WhenTainted.FAIL, account="01K3S620PA5JPWPR10F0000001"),
]

BAD: list[tuple[str, OrderRequest]] = [
    ("quantity", new_numbers(0)),
    ("quantity", new_numbers(1001)),
    ("numbers", naming(Kind.NEW_NUMBERS, ONE)),
    ("numbers", new_numbers(kind=ADD)),
    ("numbers", new_numbers(kind=Kind.REMOVE_NUMBERS)),
    ("numbers", removal(*(E164(f"+1919555{n:04}") for n in range(1001)))),
    ("numbers.1", removal(ONE, E164("+31201234560"))),
    ("numbers.0", naming(ADD, E164("+442012345678"))),
    ("account", new_numbers(account="../carts")),
    ("when_tainted", new_numbers(when_tainted=WhenTainted.FAIL)),
    ("when_tainted", naming(ADD, ONE, when_tainted=WhenTainted.SPLIT)),
    ("allow_backorder", new_numbers(allow_backorder=True)),
    ("allow_partial", new_numbers(allow_partial=False)),
    ("range_size", new_numbers(range_size=2)),
    ("options.mms_enabled", new_numbers(options={"mms_enabled": True})),
    ("options.mms_enabled", naming(ADD, ONE, options={"mms_enabled": "yes"})),
    ("options.api_key_ids", naming(ADD, ONE, options={"api_key_ids": "01KBC4VZE1CFMG5MAB089000001"})),
    ("options.api_key_ids", naming(ADD, ONE, options={"api_key_ids": ["a b"]})),
    ("options.site_id", removal(ONE, options={"site_id": "743"})),
]

CRITERIA: list[tuple[str, dict[str, Any]]] = [
    ("city", {"city": "Raleigh"}),
    ("vanity", {"vanity": "HOME"}),
    ("country", {"country": "NLD"}),
    ("number_type", {"number_type": "local"}),
    ("npa", {"npa": "19"}),
    ("npa", {"npa": "119"}),
    ("npa", {"npa": "919\n"}),
    ("nxx", {"nxx": "055"}),
    ("lata", {"lata": "Raleigh"}),
    ("state", {"state": " "}),
    ("rate_center", {"rate_center": "A\tB"}),
]


@pytest.mark.parametrize("request_", GOOD)
def test_good_orders_have_no_faults(request_: OrderRequest) -> None:
    assert CARRIER.check(request_) == ()


@pytest.mark.parametrize(("field", "request_"), BAD)
def test_bad_orders_are_refused_by_field(field: str, request_: OrderRequest) -> None:
    assert [fault.field for fault in CARRIER.check(request_)] == [field]


@pytest.mark.parametrize(("field", "criteria"), CRITERIA)
def test_unknown_criteria_are_refused_by_field(field: str, criteria: dict[str, Any]) -> None:
    assert [fault.field for fault in CARRIER.check(new_numbers(criteria=criteria))] == [f"criteria.{field}"]


def test_all_faults_are_returned_together() -> None:
    bad = new_numbers(0, criteria={"city": "Raleigh", "npa": "1"}, account="a/b", allow_partial=False)
    found = {fault.field for fault in CARRIER.check(bad)}
    assert found == {"quantity", "criteria.city", "criteria.npa", "account", "allow_partial"}


def test_capabilities_are_swifts() -> None:
    offered = CARRIER.capabilities
    assert offered.kinds == frozenset(Kind)
    assert (offered.quantity_max, offered.backorder, offered.cancellable) == (1000, False, frozenset())
