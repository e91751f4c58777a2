"""The stock: large enough, valid by Google's libphonenumber, and never sold twice."""

import phonenumbers
import pytest

from number_orders.sandbox.geography import Place
from number_orders.sandbox.inventory import SWIFT_RANGES, Criteria, Inventory, StockPlan
from tests.contract.sandbox.presets import SMALL


@pytest.fixture(scope="module")
def stock() -> list[str]:
    return list(Inventory(StockPlan()).all_free())


def test_default_stock_is_large_and_wide(stock: list[str]) -> None:
    areas = {number[2:5] for number in stock if number.startswith("+1")}

    assert len(stock) >= 20_000
    assert len(set(stock)) == len(stock)
    assert len(areas) >= 12 + 7
    assert {"800", "833", "844", "855", "866", "877", "888"} <= areas


def test_every_number_is_valid_by_libphonenumber(stock: list[str]) -> None:
    wrong = [n for n in stock if not phonenumbers.is_valid_number(phonenumbers.parse(n))]

    assert wrong == []


def test_numbers_that_arrive_later_are_valid_and_new(stock: list[str]) -> None:
    inventory = Inventory(StockPlan())
    fresh = inventory.take_new_stock(Criteria(starts_with="212"), 500)

    assert len(set(fresh)) == 500
    assert not set(fresh) & set(stock)
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(n)) for n in fresh)


def test_the_same_seed_gives_the_same_stock() -> None:
    small = StockPlan(lines_per_exchange=10, seed=1)
    other = StockPlan(lines_per_exchange=10, seed=2)

    assert list(Inventory(small).all_free()) == list(Inventory(small).all_free())
    assert list(Inventory(small).all_free()) != list(Inventory(other).all_free())


def test_a_number_is_taken_once() -> None:
    inventory = Inventory(StockPlan(lines_per_exchange=10))
    (number,) = inventory.find(Criteria(starts_with="919"), 1)
    inventory.take([number])

    assert not inventory.is_available(number)
    with pytest.raises(LookupError, match="sold before"):
        inventory.take([number])
    inventory.release([number])
    assert inventory.is_available(number)


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("+441224003908", Place(country="GBR", area_code="1224", city="ABERDEEN")),
        ("+13905551234", Place(area_code="390")),
        ("+18005550100", Place(area_code="800", number_type="TOLL_FREE")),
        ("+390612345678", Place(country="ITA", area_code="")),
    ],
)
def test_every_number_has_a_place(number: str, place: Place) -> None:
    assert Inventory(StockPlan(lines_per_exchange=10)).place_of(number) == place


@pytest.mark.parametrize("plan", [StockPlan(), SMALL, StockPlan(exchanges_per_area=200, lines_per_exchange=5)])
def test_no_number_is_in_two_carriers_stock(plan: StockPlan) -> None:
    bandwidth, swift = set(Inventory(plan).all_free()), set(Inventory(plan, SWIFT_RANGES).all_free())

    assert len(swift) > 100
    assert not bandwidth & swift
