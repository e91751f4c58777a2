"""The practice Bandwidth's list is read page by page, within its limits, and a fault costs one page."""

import pytest

from number_orders.carriers.bandwidth import holdings
from number_orders.fulfilment import inquirer
from number_orders.fulfilment.reconciliation.comparison import Orphan
from number_orders.fulfilment.runtime import Services
from tests.integration.fulfilment.portal import BandwidthPortal
from tests.integration.fulfilment.practice import BANDWIDTH, Practice, run

ONE, TWO, THREE = "+19195550120", "+19195550121", "+19195550122"
IN_SERVICE = {"method": "GET", "path": "/inserviceNumbers"}


async def orphans(services: Services) -> tuple[Orphan, ...]:
    """Compare, and return the numbers that only the carrier has."""
    return (await services.orders.reconcile(BANDWIDTH)).found.orphans


def test_a_list_of_many_pages_is_read_whole(
    practice: Practice, portal: BandwidthPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "IN_SERVICE_PAGE_SIZE", 2)
    numbers = [f"+1919555{line}" for line in range(3000, 3007)]
    portal.buy(*numbers)

    async def look() -> None:
        async with practice.opened() as services:
            assert [one.e164 for one in await orphans(services)] == numbers

    run(look())


def test_a_fault_costs_one_page_and_not_the_list(
    practice: Practice, portal: BandwidthPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "IN_SERVICE_PAGE_SIZE", 1)
    monkeypatch.setattr(inquirer, "_PAUSE_FIRST_S", 0.01)
    portal.buy(ONE, TWO, THREE)
    practice.carrier.fault("error_before", **IN_SERVICE, times=2)
    practice.carrier.fault("too_many_requests", **IN_SERVICE, times=1, delay_s=0)

    async def look() -> None:
        async with practice.opened() as services:
            assert len(await orphans(services)) == 3

    run(look())
    (limit,) = practice.rows("SELECT why FROM budgets WHERE limit_group = 'INSERVICE_NPANXX'")
    assert limit["why"] == "HTTP 429: too many requests"


def test_the_list_keeps_to_the_carriers_rate(
    practice: Practice, portal: BandwidthPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages and records count against their own groups, like any request of ours."""
    monkeypatch.setattr(holdings, "IN_SERVICE_PAGE_SIZE", 1)
    practice.rates = {"INSERVICE_NPANXX": 10, "HISTORY": 10}
    numbers = [f"+1919555{line}" for line in range(3000, 3012)]
    portal.buy(*numbers)

    async def look() -> None:
        async with practice.opened() as services:
            assert len(await orphans(services)) == len(numbers)

    run(look())
    counted = practice.carrier.report()["requests"]["by_route"]
    busiest = {route: count["peak_per_second"] for route, count in counted.items() if count["total"] >= len(numbers)}
    assert len(busiest) == 2, counted
    assert max(busiest.values()) <= 10
