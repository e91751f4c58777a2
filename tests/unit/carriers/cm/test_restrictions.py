"""CM.com's answer about what may be ordered: read exactly, or not at all."""

from typing import Any

import pytest

from number_orders.carriers.cm.facts import NumberType
from number_orders.carriers.cm.restrictions import Allowance, ask_allowance, ask_allowances, range_fault
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from tests.unit.carriers.cm.examples import ACCOUNT, AMERICAN, DUTCH, HTML, PROFILES, RESTRICTIONS, answered, restricted


def inquire(inquiry: Inquiry[Any], *answers: CarrierAnswer) -> tuple[Any, list[CarrierRequest]]:
    """Run an inquiry; every answer must be used."""
    waiting = list(answers)
    asked = []
    try:
        asked.append(next(inquiry))
        while True:
            asked.append(inquiry.send(waiting.pop(0)))
    except StopIteration as end:
        assert not waiting
        return end.value, asked


def allowed(body: object, status: int = 200) -> Allowance:
    found, _ = inquire(ask_allowance(ACCOUNT, "NLD:local", DUTCH), answered(status, body))
    assert isinstance(found, Allowance)
    return found


@pytest.mark.parametrize(
    ("body", "quantity_max", "sizes"),
    [
        (restricted(10, 100), 1000, (10, 100)),
        (restricted(100, 10, 10), 1000, (10, 100)),
        (restricted(), 1000, ()),
        (restricted(10)[0], 1000, (10,)),
        (restricted(10) * 2, 1000, (10,)),
        (restricted(10) + restricted(25, phoneNumberType="NATIONAL"), 1000, (10,)),
        (restricted(10, phoneNumberType="Local"), 1000, (10,)),
        (restricted(10, phoneNumberType=None, maximumQuantity=None), None, (10,)),
    ],
)
def test_restrictions_are_those_of_the_type_that_was_asked_for(
    body: object, quantity_max: int | None, sizes: tuple[int, ...]
) -> None:
    assert allowed(body) == Allowance("NLD", NumberType.LOCAL, quantity_max, sizes)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        [],
        [7],
        restricted(10, phoneNumberType="NATIONAL"),
        restricted(10, phoneNumberType=3),
        restricted(10) + restricted(25),
        restricted(10, allowedRangeSizes=None),
        restricted(10, allowedRangeSizes="10"),
        restricted(0),
        restricted("10"),
        restricted(True),
        restricted(10, maximumQuantity="many"),
        restricted(10, maximumQuantity=0),
    ],
)
def test_unexpected_restrictions_are_unreadable(body: object) -> None:
    with pytest.raises(UnreadableAnswer):
        allowed(body)


@pytest.mark.parametrize(("body", "status"), [(b"", 200), (HTML, 200), (b"", 503), ({"message": "no"}, 404)])
def test_an_error_is_no_answer(body: object, status: int) -> None:
    with pytest.raises(NoAnswer):
        allowed(body, status)


def test_a_refused_range_size_is_shown_the_allowed_ones() -> None:
    some = Allowance("NLD", NumberType.LOCAL, 1000, (10, 100))
    assert [range_fault(size, some) is None for size in (1, 10, 50, 100)] == [False, True, False, True]
    assert "10, 100" in str(range_fault(50, some))


@pytest.mark.parametrize(
    ("wanted", "profiles"),
    [({}, [DUTCH, AMERICAN]), ({"country": "USA"}, [AMERICAN]), ({"number_type": "national"}, [])],
)
def test_every_matching_profile_is_asked_about(wanted: dict[str, str], profiles: list[str]) -> None:
    answers = [answered(200, restricted(10)) for _ in profiles]
    found, asked = inquire(ask_allowances(ACCOUNT, PROFILES, **wanted), *answers)

    assert [request.query["companyProfileGuid"] for request in asked] == profiles
    assert {request.path for request in asked} <= {RESTRICTIONS}
    assert [one.country for one in found] == [{DUTCH: "NLD", AMERICAN: "USA"}[profile] for profile in profiles]
