"""A carrier's limits, measured at the carrier: several workers, and never a request too many in any second."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import Producer
from tests.acceptance.test_killed_workers import await_rest
from tests.pace import arrivals, best_stretch, most_in_a_second
from tests.processes import Processes

pytestmark = [pytest.mark.acceptance, pytest.mark.alone, pytest.mark.timeout(240)]

MakeOrder = Callable[..., dict[str, Any]]

RATE: Final = 20
QUESTIONS: Final = 30
ORDERS: Final = 160
STRETCH_S: Final = 4.0
"""Long enough to tell a rate; and on a busy machine some such stretch is undisturbed."""


def test_two_workers_together_use_a_limit_and_never_exceed_it(
    producer: Producer, processes: Processes, carrier: SandboxControl, ledger_url: str, an_order: MakeOrder
) -> None:
    """Six children, two lanes, two limits: in no second more than the rate, and nine tenths of it used."""
    carrier.behave(http_log_per_order=200)
    limits = {"NUMBER_ORDERS_BANDWIDTH__LIMITS": json.dumps({"ORDER": RATE, "HISTORY": QUESTIONS})}
    processes.beat()
    for _ in range(2):
        processes.worker(env=limits)
    answer = producer.call("orders.submit_many", [an_order() for _ in range(ORDERS)])
    assert len(answer["tickets"]) == ORDERS
    orders = await_rest(ledger_url, ORDERS, within_s=180)
    assert {(order["state"], order["losses"]) for order in orders} == {("COMPLETED", 0)}

    report = carrier.report()
    sent, asked = arrivals(report, "POST", "/orders"), arrivals(report, "GET")
    assert len(sent) == ORDERS
    assert most_in_a_second(sent) <= RATE
    assert most_in_a_second(asked) <= QUESTIONS
    assert best_stretch(sent, STRETCH_S) >= 0.9 * RATE, f"{ORDERS} orders in {sent[-1].at - sent[0].at:.1f} s"
