"""A new order need not wait for the sweep: the bell is rung when it is accepted."""

import pytest

from tests.acceptance.conftest import MakeOrder, Producer
from tests.processes import Processes, eventually

pytestmark = pytest.mark.acceptance


def test_an_order_leaves_although_nobody_sweeps(processes: Processes, producer: Producer, an_order: MakeOrder) -> None:
    """A worker and no beat: the carrier has the order all the same."""
    processes.worker()
    order_id = producer.submit(an_order())["order_id"]
    for _ in eventually():
        if producer.call("orders.get", order_id)["state"] == "OPEN":
            break
