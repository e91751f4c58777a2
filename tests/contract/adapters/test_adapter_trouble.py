"""A question without an answer changes nothing: a gateway's page ends no order, and proves none absent."""

from dataclasses import replace
from typing import Any, Final

from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import AnswerLost
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from tests.contract.adapters.all_cases import every_product
from tests.contract.adapters.case import Case, Fate, Product
from tests.contract.adapters.harness import Harness, PlacedOrder, open_harness, run

TROUBLE: Final[dict[str, dict[str, Any]]] = {
    "dropped": {"fault": "drop_after"},
    "503": {"fault": "error_before"},
    "500": {"fault": "error_before", "status": 500},
    "302": {"fault": "error_before", "status": 302},
    "gateway_page": {"fault": "html"},
    "page_as_200": {"fault": "html", "status": 200},
    "garbage": {"fault": "garbage"},
    "garbage_as_400": {"fault": "garbage", "status": 400},
    "empty": {"fault": "empty"},
    "limit": {"fault": "too_many_requests", "delay_s": 30},
}


async def check_unmoved(harness: Harness, placed: PlacedOrder) -> None:
    """Check that no failing answer changes the order, and that it goes on afterwards."""
    before = placed.order
    believed = []
    for what, fault in TROUBLE.items():
        harness.control.fault(**fault, method="GET", carrier=harness.case.entry.name)
        try:
            event = await (placed.ask() if before.state is State.OPEN else placed.look_for())
        except (NoAnswer, UnreadableAnswer):
            assert replace(placed.order, progress={}) == replace(before, progress={}), what
        else:
            believed.append((what, event))
        harness.control.clear_faults()
    assert believed == []
    await placed.run_to_end()
    assert placed.differences() == []


@every_product()
def test_an_open_order_stays_open(control: SandboxControl, case: Case, product: Product) -> None:
    async def asked() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[Fate.FULL])
            await placed.send()
            await check_unmoved(harness, placed)

    run(asked())


@every_product()
def test_an_order_in_doubt_stays_in_doubt(control: SandboxControl, case: Case, product: Product) -> None:
    async def looked_for() -> None:
        async with open_harness(case, control) as harness:
            placed = await harness.begin(product.plans[Fate.FULL])
            method, path = product.commit
            control.fault("drop_after", times=1, method=method, path=path, carrier=case.entry.name)
            assert isinstance(await placed.send(), AnswerLost)
            control.clear_faults()
            await check_unmoved(harness, placed)

    run(looked_for())
