"""Questions without an order, asked at the sandbox carriers with the real courier."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from number_orders.carriers.contract import Inquiry
from number_orders.carriers.market import CoverageQuery, InServiceQuery, Market, RestrictionsQuery, SearchQuery
from number_orders.carriers.swift.facts import GROUP_FIELDS
from number_orders.cli.stack.sandbox_accounts import sandbox_settings
from number_orders.orders.errors import Declined, NoAnswer, UnreadableAnswer
from number_orders.orders.model import Criteria, Kind
from number_orders.orders.numbers import E164
from number_orders.sandbox.control import SandboxControl
from tests.contract.adapters.all_cases import CASES
from tests.contract.adapters.case import OrderPlan, named
from tests.contract.adapters.harness import TLS, open_harness
from tests.contract.fourth_carrier.settings import MERIDIAN, SettingsWithMeridian
from workers.carriers import CARRIERS, ConfiguredCarrier, configured_carriers

Result = TypeVar("Result")
PAGE_RALEIGH = [f"+1984247{line}" for line in ("1432", "1793", "1794", "1827", "1828")]
PAGE_ABERDEEN = [f"+44122400{line}" for line in ("3908", "3995", "3996", "3997", "3998")]
BANDWIDTH = next(case for case in CASES if case.entry.name == "bandwidth")


def carrier(control: SandboxControl, name: str) -> ConfiguredCarrier:
    settings = SettingsWithMeridian.model_validate({name: sandbox_settings(control.url)[name]})
    return next(one for each, one in configured_carriers(settings, [*CARRIERS, MERIDIAN]).items() if each == name)


def answer_of(asked: ConfiguredCarrier, question: Callable[[Market], Inquiry[Result]]) -> Result:
    """Ask as a command does, and return the answer."""

    async def asking() -> Result:
        courier = asked.courier(tls=TLS)
        try:
            return await courier.inquire(question(asked.market))
        finally:
            await courier.aclose()

    return asyncio.run(asking())


@pytest.mark.parametrize(
    ("criteria", "begins"),
    [
        (Criteria(npa="919"), "+1919"),
        (Criteria(npa="984", nxx="247"), "+1984247"),
        (Criteria(npa="984", nxx="247", local_calling_area=True), "+1984247"),
        (Criteria(npa="984", nxx="247", thousands_block="1"), "+19842471"),
        (Criteria(npa="984", nxx="247", thousands_block="1", zip="27601"), "+19842471"),
        (Criteria(rate_center="RALEIGH", state="NC", lata="426", zip="27601"), "+1"),
        (Criteria(rate_center="DENVER", state="CO"), "+1303"),
        (Criteria(state="IL"), "+1312"),
        (Criteria(city="Austin", state="TX"), "+1512"),
        (Criteria(zip="80302"), ""),
        (Criteria(lata="128"), "+1617"),
        (Criteria(vanity="CALL", npa="404"), "+1404"),
        (Criteria(vanity="CALL", vanity_at_end=True), "+1"),
        (Criteria(vanity="FLOWERS", number_type="toll_free"), "+18"),
        (Criteria(toll_free_pattern="83*"), "+1833"),
        (Criteria(toll_free_pattern="80*"), "+1800"),
        (Criteria(country="USA"), "+1"),
        (Criteria(country="USA", number_type="toll_free", npa="833"), "+1833"),
        (Criteria(country="DEU"), "+49"),
        (Criteria(country="DEU", number_type="national"), "+49"),
        (Criteria(country="DEU", npa="30"), "+4930"),
        (Criteria(country="DEU", city="Berlin"), "+4930"),
        (Criteria(country="GBR", number_type="mobile"), "+447400"),
    ],
)
def test_every_search_type_is_understood(control: SandboxControl, criteria: Criteria, begins: str) -> None:
    """The adapter and the sandbox carrier have each read the page's tables on their own."""
    found = answer_of(carrier(control, "bandwidth"), lambda market: market.search(SearchQuery(criteria, 3)))

    assert len(found.listed) == (3 if begins else 0)
    assert all(product.e164.startswith(begins) for product in found.listed)


def test_the_examples_of_the_page_find_what_the_page_shows(control: SandboxControl) -> None:
    bandwidth = carrier(control, "bandwidth")
    raleigh = Criteria(country="USA", city="Raleigh", state="NC")
    british = Criteria(country="GBR", number_type="local")

    at_home = answer_of(bandwidth, lambda market: market.search(SearchQuery(raleigh, 5)))
    abroad = answer_of(bandwidth, lambda market: market.search(SearchQuery(british, 5)))

    assert [product.e164 for product in at_home.listed] == PAGE_RALEIGH
    assert {(product.city, product.state, product.rate_center, product.lata) for product in at_home.listed} == {
        ("RALEIGH", "NC", "RALEIGH", "426")
    }
    assert [product.e164 for product in abroad.listed] == PAGE_ABERDEEN
    assert {(product.country, product.number_type, product.area_code) for product in abroad.listed} == {
        ("GBR", "GEOGRAPHIC", "1224")
    }


def test_order_and_protection_are_taken(control: SandboxControl) -> None:
    wanted = SearchQuery(Criteria(zip="27601"), 50, options={"order_by": "fullNumber", "protected": "NONE"})

    found = answer_of(carrier(control, "bandwidth"), lambda market: market.search(wanted))

    numbers = [product.e164 for product in found.listed]
    assert numbers == sorted(numbers)
    assert len(numbers) == 50


def test_restrictions_of_italy_come_whole(control: SandboxControl) -> None:
    rules = answer_of(carrier(control, "bandwidth"), lambda market: market.restrictions(RestrictionsQuery("ITA")))

    assert [(rule.nature, rule.subject) for rule in rules] == [
        ("LEGAL", "Sub allocation"),
        ("LEGAL", "Others"),
        ("SERVICE", "Outbound call"),
        ("SERVICE", "Outbound call"),
    ]
    assert rules[-1].rule.endswith("by the National numbering plan.")


def test_cm_tells_quantity_and_ranges(control: SandboxControl) -> None:
    rules = answer_of(carrier(control, "cm"), lambda market: market.restrictions(RestrictionsQuery("NLD", "local")))

    assert [(rule.country, rule.number_type, rule.subject) for rule in rules] == [
        ("NLD", "local", "quantity"),
        ("NLD", "local", "range_size"),
    ]
    assert "10, 100" in rules[1].rule


@pytest.mark.parametrize("field", GROUP_FIELDS)
def test_swift_counts_by_every_field(control: SandboxControl, field: str) -> None:
    swift = carrier(control, "swift")

    counted = answer_of(swift, lambda market: market.coverage(CoverageQuery(Criteria(), (field,))))

    assert {frozenset(entry.group) for entry in counted.entries} == {frozenset({field})}
    assert sum(entry.quantity for entry in counted.entries) == counted.quantity


def test_swift_counts_by_several_fields_at_once(control: SandboxControl) -> None:
    wanted = CoverageQuery(Criteria(country="CAN", state="ON"), ("npa", "state"))

    counted = answer_of(carrier(control, "swift"), lambda market: market.coverage(wanted))

    assert [dict(entry.group) for entry in counted.entries] == [
        {"npa": "416", "state": "ON"},
        {"npa": "705", "state": "ON"},
    ]


@pytest.mark.parametrize(
    "criteria",
    [
        Criteria(npa="705"),
        Criteria(npa="705", nxx="251"),
        Criteria(nxx="251"),
        Criteria(lata="888"),
        Criteria(state="ON"),
        Criteria(rate_center="SUDBURY"),
        Criteria(country="CAN"),
    ],
)
def test_swift_counts_by_every_filter(control: SandboxControl, criteria: Criteria) -> None:
    """All counted numbers have the filtered value, and they are at most all numbers."""
    (filtered,) = criteria.given() if len(criteria.given()) == 1 else (None,)
    field = {"country": "country_code"}.get(str(filtered), filtered)
    swift = carrier(control, "swift")
    whole = answer_of(swift, lambda market: market.coverage(CoverageQuery(Criteria())))

    counted = answer_of(swift, lambda market: market.coverage(CoverageQuery(criteria, (field,) if field else ())))

    assert whole.quantity
    assert counted.quantity is not None
    assert counted.quantity <= whole.quantity
    if field:
        value = "1" if field == "country_code" else getattr(criteria, field)
        assert [entry.group[field] for entry in counted.entries] in ([value], [])


def test_a_bought_number_is_shown_with_its_order(control: SandboxControl) -> None:
    mine = "+19195550123"

    async def bought() -> str | None:
        async with open_harness(BANDWIDTH, control) as harness:
            placed = await harness.begin(OrderPlan(lambda _: named("bandwidth", Kind.NEW_NUMBERS, mine)))
            await placed.run_to_end()
            return placed.order.carrier_order_id

    order_id = asyncio.run(bought())
    bandwidth = carrier(control, "bandwidth")

    held = answer_of(bandwidth, lambda market: market.number(E164(mine)))
    in_service = answer_of(bandwidth, lambda market: market.numbers(InServiceQuery()))

    assert (held.status, held.carrier_order_id, held.account) == ("Inservice", order_id, "9900000")
    assert held.in_service_at is not None
    assert [one.e164 for one in in_service.listed] == [mine]
    assert in_service.total == 1


def test_swift_lists_a_bought_number_with_its_date(control: SandboxControl) -> None:
    swift_case = next(case for case in CASES if case.entry.name == "swift")

    async def bought() -> None:
        async with open_harness(swift_case, control) as harness:
            placed = await harness.begin(
                OrderPlan(lambda _: named("swift", Kind.ADD_MESSAGING_NUMBERS, "+19195550123"))
            )
            await placed.run_to_end()

    asyncio.run(bought())

    ours = answer_of(carrier(control, "swift"), lambda market: market.numbers(InServiceQuery()))

    assert [held.e164 for held in ours.listed] == ["+19195550123"]
    assert ours.listed[0].ordered_at is not None


def test_a_number_that_is_not_ours_is_declined(control: SandboxControl) -> None:
    with pytest.raises(Declined, match="15610: The telephone number does not belong to this account"):
        answer_of(carrier(control, "bandwidth"), lambda market: market.number(E164("+19195550123")))


@pytest.mark.parametrize("fault", ["drop_before", "error_before", "too_many_requests", "html", "empty", "timeout_400"])
def test_a_failed_search_is_no_answer(control: SandboxControl, fault: str) -> None:
    control.fault(fault, method="GET", path="/availableNumbers")

    with pytest.raises(NoAnswer):
        answer_of(carrier(control, "bandwidth"), lambda market: market.search(SearchQuery(Criteria(npa="919"))))


def test_garbage_is_unreadable(control: SandboxControl) -> None:
    control.fault("garbage", method="GET", path="/availableNumbers")

    with pytest.raises(UnreadableAnswer):
        answer_of(carrier(control, "bandwidth"), lambda market: market.search(SearchQuery(Criteria(npa="919"))))


def test_nothing_is_ordered_or_kept_by_asking(control: SandboxControl) -> None:
    """Questions change nothing at the carriers."""
    bandwidth, before = carrier(control, "bandwidth"), control.report()["totals"]["stock"]

    answer_of(bandwidth, lambda market: market.search(SearchQuery(Criteria(npa="919"), 100)))
    answer_of(bandwidth, lambda market: market.numbers(InServiceQuery()))
    answer_of(carrier(control, "cm"), lambda market: market.restrictions(RestrictionsQuery("NLD")))

    assert control.report()["orders"] == []
    assert control.report()["totals"]["stock"] == before
