"""What CM.com would refuse is refused before it is sent, with the field and the rule."""

from dataclasses import replace

import pytest

from number_orders.orders.model import Kind, OrderRequest, WhenTainted
from number_orders.orders.numbers import E164
from tests.unit.carriers.cm.examples import CARRIER, a_request, in_america


def broken(request: OrderRequest) -> list[str]:
    return [fault.field for fault in CARRIER.check(request)]


@pytest.mark.parametrize(
    "request_",
    [
        a_request(),
        a_request(1),
        a_request(1000),
        a_request(criteria={"npa": None, "city": "Amsterdam"}),
        a_request(criteria={"city": "Amsterdam"}),
        a_request(criteria={"npa": "9"}),
        a_request(criteria={"state": "Noord-Holland"}),
        a_request(200, range_size=100),
        a_request(100, range_size=100),
        a_request(100, range_size=50),
        a_request(3, range_size=1),
        in_america(),
        a_request(notes="distribution group 7", name="Spring"),
    ],
)
def test_good_orders_pass(request_: OrderRequest) -> None:
    assert CARRIER.check(request_) == ()


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (a_request(1001), ["quantity"]),
        (a_request(0), ["quantity"]),
        (a_request(14, range_size=7), ["range_size"]),
        (a_request(30, range_size=20), ["range_size"]),
        (a_request(10, range_size=100), ["range_size"]),
        (a_request(10, range_size=0), ["range_size"]),
        (a_request(criteria={"npa": None}), ["criteria"]),
        (a_request(criteria={"npa": "+20"}), ["criteria.npa"]),
        (a_request(criteria={"npa": "123456789"}), ["criteria.npa"]),
        (a_request(criteria={"city": " "}), ["criteria.city"]),
        (a_request(criteria={"country": None}), ["criteria.country"]),
        (a_request(criteria={"country": "BEL"}), ["criteria.country"]),
        (a_request(criteria={"number_type": None}), ["criteria.number_type"]),
        (a_request(criteria={"number_type": "mobile"}), ["criteria.number_type"]),
        (a_request(criteria={"number_type": "national"}), ["criteria.country"]),
        (a_request(criteria={"zip": "1012", "lata": "1"}), ["criteria.lata", "criteria.zip"]),
        (a_request(criteria={"local_calling_area": True}), ["criteria.local_calling_area"]),
        (a_request(criteria={"country": "USA", "npa": "919"}), ["criteria.state"]),
        (a_request(criteria={"country": "USA", "npa": "0919", "state": "NC"}), ["criteria.npa"]),
        (a_request(account="sub"), ["account"]),
        (a_request(allow_backorder=True), ["allow_backorder"]),
        (a_request(allow_partial=False), ["allow_partial"]),
        (a_request(when_tainted=WhenTainted.SPLIT), ["when_tainted"]),
        (a_request(options={"callback": "x"}), ["options.callback"]),
        (a_request(kind=Kind.REMOVE_NUMBERS), ["kind"]),
        (a_request(kind=Kind.ADD_MESSAGING_NUMBERS), ["kind"]),
    ],
)
def test_bad_orders_are_refused_by_field(request_: OrderRequest, fields: list[str]) -> None:
    assert broken(request_) == fields


def test_numbers_cannot_be_named() -> None:
    assert broken(replace(a_request(), criteria=None, quantity=None, numbers=(E164("+31201234567"),))) == ["numbers"]


def test_a_missing_profile_is_named_beside_the_existing_ones() -> None:
    (fault,) = CARRIER.check(a_request(criteria={"country": "BEL"}))
    assert str(fault) == "criteria.country: no company profile is set up for BEL:local; there are NLD:local, USA:local"


def test_every_country_of_the_plan_needs_a_region() -> None:
    assert "criteria.state" in broken(a_request(criteria={"country": "JAM", "npa": "876"}))
    assert "criteria.state" not in broken(a_request(criteria={"country": "MEX", "npa": "55"}))
