"""Backorders and reservations on real processes: waited for, called back, closed at the carrier, and told so."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from kombu import Connection

from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import Producer
from tests.acceptance.queries import sold_for
from tests.processes import Processes, eventually

pytestmark = pytest.mark.acceptance

MakeOrder = Callable[..., dict[str, Any]]
WAITS = {"npa": "701"}
"""An area code whose orders are backordered for ever, with half of their numbers."""
TOLD = {"task": "crm.ended", "queue": "crm-ended"}


@pytest.fixture(autouse=True)
def _running(processes: Processes) -> None:
    processes.beat()
    processes.worker()


def until_backordered(producer: Producer, order_id: str) -> None:
    for _ in eventually():
        document = producer.call("orders.get", order_id)
        if document["carrier_status"] == "BACKORDERED":
            return


def test_a_backorder_is_called_back_closed_and_told(
    producer: Producer, an_order: MakeOrder, carrier: SandboxControl, broker_url: str
) -> None:
    """The first answer to the wish is lost on the way; the order ends CANCELLED all the same, with nothing bought."""
    order = an_order(criteria=WAITS, allow_backorder=True, notify=TOLD)
    order_id = producer.submit(order)["order_id"]
    until_backordered(producer, order_id)
    carrier.fault("error_before", method="PUT", path="/orders/{orderId}", times=1)

    answer = producer.call("orders.cancel", order_id, "ana", "the customer went away")

    assert (answer["order_id"], answer["state"]) == (order_id, "OPEN")
    document = producer.await_end(order_id)
    assert (document["state"], document["numbers"]) == ("CANCELLED", [])
    assert document["reason"] == "the backorder was closed before anything was bought"
    (theirs,) = sold_for(carrier, document)
    assert (theirs["outcome"], theirs["bought"], theirs["set_aside"]) == ("FAILED", [], [])
    with Connection(broker_url) as connection, connection.SimpleQueue(TOLD["queue"]) as queue:
        message = queue.get(timeout=60)
        assert message.payload[0][0] == document
        message.ack()


def test_a_backorder_called_back_with_half_of_its_numbers_keeps_them(
    producer: Producer, an_order: MakeOrder, carrier: SandboxControl
) -> None:
    order_id = producer.submit(an_order(criteria=WAITS, quantity=4, allow_backorder=True))["order_id"]
    until_backordered(producer, order_id)

    producer.call("orders.cancel", order_id)

    document = producer.await_end(order_id)
    (theirs,) = sold_for(carrier, document)
    assert (document["state"], theirs["outcome"]) == ("PARTIAL", "PARTIAL")
    assert sorted(number["e164"] for number in document["numbers"]) == sorted(theirs["bought"])
    assert len(theirs["bought"]) == 2


def test_a_reserved_number_is_bought_by_the_order_that_names_its_reservation(
    producer: Producer, an_order: MakeOrder, carrier: SandboxControl
) -> None:
    number = "+19842471432"
    body = f"<Reservation><ReservedTn>{number}</ReservedTn></Reservation>"
    where = f"{carrier.url}/api/v2/accounts/9900000/tnreservation"
    kept = httpx.post(where, content=body, headers={"Authorization": "Bearer sandbox-token"}, trust_env=False)
    named = {"criteria": None, "quantity": None, "numbers": [number]}
    options = {"reservation_ids": [kept.headers["location"].rpartition("/")[2]]}

    without = producer.await_end(producer.submit(an_order(**named))["order_id"])
    document = producer.await_end(producer.submit(an_order(**named, options=options))["order_id"])

    assert (without["state"], document["state"]) == ("FAILED", "COMPLETED")
    assert [each["e164"] for each in document["numbers"]] == [number]
