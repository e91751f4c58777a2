"""One sandbox for the whole contract, with the fourth carrier as a guest, reset for each test."""

from collections.abc import Iterator

import pytest

from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.inventory import StockPlan
from number_orders.sandbox.server import running_sandbox
from tests.contract.fourth_carrier.sandbox import SandboxMeridian

A_MINUTE = {
    "processing_s": 60,
    "backorder_s": 60,
    "strange_s": 180,
    "swift_usable_s": 60,
    "cm_review_s": 60,
    "latency_s": dict.fromkeys(
        ("token", "search", "order_create", "order_read", "order_list", "order_change", "numbers", "other"), 0
    ),
}
"""Everything takes a minute on the sandbox's clock, which the tests advance."""
SMALL = StockPlan(lines_per_exchange=24, toll_free_per_code=20, foreign_per_range=20)


@pytest.fixture(scope="session")
def serving() -> Iterator[SandboxControl]:
    with running_sandbox(behaviour=read_behaviour(A_MINUTE), stock=SMALL, extra_carriers=[SandboxMeridian]) as control:
        yield control


@pytest.fixture
def control(serving: SandboxControl) -> SandboxControl:
    """The sandbox carriers, without faults."""
    serving.reset()
    return serving
