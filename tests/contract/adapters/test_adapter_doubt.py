"""Whatever happens to the answer of the request that costs money, every adapter finds out what was bought by asking."""

from typing import Any, Final

import pytest

from number_orders.orders.events import Acknowledged, AnswerLost, NotListed, NotSent
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from tests.contract.adapters.all_cases import every_product
from tests.contract.adapters.case import Case, Fate, Product
from tests.contract.adapters.harness import Harness, PlacedOrder, open_harness, run
from workers.clock import utc_now

PROCESSED: Final[dict[str, dict[str, Any]]] = {
    "dropped": {"fault": "drop_after"},
    "503": {"fault": "error_after"},
    "500": {"fault": "error_after", "status": 500},
    "302": {"fault": "error_after", "status": 302},
    "408": {"fault": "error_after", "status": 408},
    "gateway_page": {"fault": "html"},
    "page_as_200": {"fault": "html", "status": 200},
    "garbage": {"fault": "garbage"},
    "garbage_as_400": {"fault": "garbage", "status": 400},
    "empty": {"fault": "empty"},
}
NOT_PROCESSED: Final[dict[str, dict[str, Any]]] = {
    "dropped": {"fault": "drop_before"},
    "500": {"fault": "error_before", "status": 500},
    "gateway_page": {"fault": "html", "processed": False},
    "garbage": {"fault": "garbage", "processed": False},
}

how_it_is_lost = pytest.mark.parametrize("fault", PROCESSED.values(), ids=PROCESSED)
how_it_never_arrives = pytest.mark.parametrize("fault", NOT_PROCESSED.values(), ids=NOT_PROCESSED)


async def send_and_spoil(harness: Harness, product: Product, fault: dict[str, Any]) -> PlacedOrder:
    """Send an order, and spoil the answer."""
    placed = await harness.begin(product.plans[Fate.FULL])
    method, path = product.commit
    harness.control.fault(**fault, times=1, method=method, path=path, carrier=harness.case.entry.name)
    event = await placed.send()
    assert isinstance(event, AnswerLost), event
    assert placed.order.state is State.IN_DOUBT
    return placed


@how_it_is_lost
@every_product()
def test_an_order_that_arrived_is_found_and_not_sent_again(
    control: SandboxControl, case: Case, product: Product, fault: dict[str, Any]
) -> None:
    async def lost() -> None:
        async with open_harness(case, control) as harness:
            assert harness.adapter.capabilities.found_by_reference
            placed = await send_and_spoil(harness, product, fault)
            event = await placed.look_for()
            assert isinstance(event, Acknowledged)
            assert event.carrier_order_id == placed.carrier_orders()[0]["order_id"]
            await placed.run_to_end()
            assert placed.order.state is product.end_of(Fate.FULL)
            assert placed.differences() == []
            assert placed.commits == 1

    run(lost())


@how_it_never_arrives
@every_product()
def test_an_order_that_never_arrived_is_proven_absent_before_it_is_sent_again(
    control: SandboxControl, case: Case, product: Product, fault: dict[str, Any]
) -> None:
    async def never_arrived() -> None:
        async with open_harness(case, control) as harness:
            placed = await send_and_spoil(harness, product, fault)
            assert placed.carrier_orders() == []
            event = await placed.look_for()
            assert isinstance(event, NotListed)
            at_first = placed.order.state
            assert at_first is State.IN_DOUBT
            await placed.run_to_end()
            if harness.policy.resend_when_absent and event.resend:
                assert placed.order.state is product.end_of(Fate.FULL)
                assert placed.differences() == []
                assert placed.commits == 2
            else:
                assert placed.order.state is State.PARKED
                assert placed.carrier_orders() == []
                assert placed.commits == 1

    run(never_arrived())


@every_product()
def test_a_429_orders_nothing_and_says_until_when(control: SandboxControl, case: Case, product: Product) -> None:
    async def limited() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[Fate.FULL])
            method, path = product.commit
            limit = {"method": method, "path": path, "carrier": case.entry.name}
            control.fault("too_many_requests", delay_s=300, times=1, **limit)
            event = await placed.send()
            assert isinstance(event, NotSent)
            assert event.not_before is not None
            assert event.not_before > utc_now()  # limits go by the machine's clock, at the sandbox too
            assert placed.order.state is State.ACCEPTED
            assert placed.carrier_orders() == []
            await placed.run_to_end()
            assert placed.differences() == []

    run(limited())


BEFORE: Final[dict[str, dict[str, Any]]] = {
    **{how: PROCESSED[how] for how in ("dropped", "503", "gateway_page", "garbage")},
    "garbage_and_nothing_done": NOT_PROCESSED["garbage"],
    "limit": {"fault": "too_many_requests", "delay_s": 1},
}


@pytest.mark.parametrize("fault", BEFORE.values(), ids=BEFORE)
@every_product(prepared=True)
def test_a_failed_step_before_the_commit_costs_nothing(
    control: SandboxControl, case: Case, product: Product, fault: dict[str, Any]
) -> None:
    async def failed_before() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[Fate.FULL])
            for method, path in product.prepares:
                # Twice, because aiohttp repeats a GET whose connection was dropped.
                control.fault(**fault, times=2, method=method, path=path, carrier=case.entry.name)
            assert isinstance(await placed.send(), NotSent)
            assert placed.carrier_orders() == []
            await placed.run_to_end()
            assert placed.order.state is product.end_of(Fate.FULL)
            assert placed.differences() == []
            assert not placed.order.losses

    run(failed_before())
