"""Numbers are given up as they are bought: by order, number by number, and when an answer is lost, by asking."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection

from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import Backend, MakeOrder, Producer
from tests.acceptance.queries import rows, sold_for, traces

pytestmark = pytest.mark.acceptance

Numbers = list[str]


@pytest.fixture
def backend(shared_backend: Backend) -> Backend:
    """One installation for all of these."""
    return shared_backend


@pytest.fixture
def a_removal(an_order: MakeOrder) -> MakeOrder:
    def make(numbers: Numbers, **changes: Any) -> dict[str, Any]:
        return an_order(kind="remove_numbers", criteria=None, quantity=None, numbers=numbers, **changes)

    return make


@pytest.fixture
def buy(producer: Producer, an_order: MakeOrder) -> Callable[[Numbers], None]:
    """Buy these numbers by name."""

    def bought(numbers: Numbers) -> None:
        ticket = producer.submit(an_order(criteria=None, quantity=None, numbers=numbers))
        assert producer.await_end(ticket["order_id"])["state"] == "COMPLETED"

    return bought


def removed(producer: Producer, order: dict[str, Any]) -> dict[str, Any]:
    return producer.await_end(producer.submit(order)["order_id"])


def states(document: dict[str, Any]) -> dict[str, str]:
    return {number["e164"]: number["state"] for number in document["numbers"]}


def held(url: str, numbers: Numbers) -> Numbers:
    query = "SELECT e164 FROM held_numbers WHERE released_at IS NULL AND e164 = ANY(%s) ORDER BY e164"
    return [row["e164"] for row in rows(url, query, numbers)]


def test_numbers_that_were_bought_are_given_up_and_can_be_bought_again(
    producer: Producer,
    a_removal: MakeOrder,
    buy: Callable[[Numbers], None],
    carrier: SandboxControl,
    ledger_url: str,
    broker_url: str,
) -> None:
    """Both ends are told to the producer, the carrier has let go, and so has the ledger, until the next purchase."""
    numbers = ["+19192340200", "+19192340201"]
    buy(numbers)
    assert held(ledger_url, numbers) == numbers

    document = removed(producer, a_removal(numbers, notify={"task": "crm.gone", "queue": "crm-gone"}))

    assert document["state"] == "COMPLETED"
    assert states(document) == dict.fromkeys(numbers, "released")
    (disconnect,) = sold_for(carrier, document)
    assert (disconnect["kind"], sorted(disconnect["released"])) == ("disconnect", numbers)
    assert held(ledger_url, numbers) == []
    with Connection(broker_url) as connection, connection.SimpleQueue("crm-gone") as queue:
        message = queue.get(timeout=60)
        assert message.payload[0][0] == document
        message.ack()
    buy(numbers)
    assert held(ledger_url, numbers) == numbers
    assert carrier.report()["duplicates"]["numbers"] == {}


def test_what_is_not_ours_fails_by_itself(
    producer: Producer, a_removal: MakeOrder, buy: Callable[[Numbers], None], carrier: SandboxControl, ledger_url: str
) -> None:
    """One number of two is on the account: it is given up, and the other says why not."""
    ours, strange = "+19192340210", "+19192340211"
    buy([ours])

    partial = removed(producer, a_removal([ours, strange]))
    failed = removed(producer, a_removal([ours, strange]))

    assert (partial["state"], states(partial)) == ("PARTIAL", {ours: "released", strange: "failed"})
    assert (failed["state"], states(failed)) == ("FAILED", {ours: "failed", strange: "failed"})
    assert {number["code"] for number in failed["numbers"]} == {"5006"}
    assert held(ledger_url, [ours]) == []


def test_when_the_answer_is_lost_the_disconnect_is_found(
    producer: Producer, a_removal: MakeOrder, buy: Callable[[Numbers], None], carrier: SandboxControl, ledger_url: str
) -> None:
    """The carrier took it and the connection broke: it is found among the recent ones, and nothing is sent again."""
    numbers = ["+19192340220", "+19192340221"]
    buy(numbers)
    carrier.fault("drop_after", method="POST", path="/disconnects", times=1)

    document = removed(producer, a_removal(numbers))

    assert (document["state"], set(states(document).values())) == ("COMPLETED", {"released"})
    (disconnect,) = sold_for(carrier, document)
    assert document["carrier_order_id"] == disconnect["order_id"]
    assert held(ledger_url, numbers) == []


def test_when_it_cannot_be_found_sending_it_again_does_no_harm(
    producer: Producer, a_removal: MakeOrder, buy: Callable[[Numbers], None], carrier: SandboxControl, ledger_url: str
) -> None:
    """The list never shows it. The second disconnect finds the numbers gone, which is what was wanted."""
    numbers = ["+19192340230", "+19192340231"]
    buy(numbers)
    carrier.behave(listing_delay_s=3600)
    carrier.fault("drop_after", method="POST", path="/disconnects", times=1)

    document = removed(producer, a_removal(numbers))

    assert (document["state"], set(states(document).values())) == ("COMPLETED", {"released"})
    assert {number["code"] for number in document["numbers"]} == {"5006"}
    assert sorted(each["outcome"] for each in sold_for(carrier, document)) == ["COMPLETED", "FAILED"]
    assert held(ledger_url, numbers) == []


def test_when_it_never_arrived_it_is_sent_again(
    producer: Producer, a_removal: MakeOrder, buy: Callable[[Numbers], None], carrier: SandboxControl
) -> None:
    """The connection broke before the carrier read it, and its list has nothing: one disconnect in the end."""
    numbers = ["+19192340240"]
    buy(numbers)
    carrier.fault("drop_before", method="POST", path="/disconnects", times=1)

    document = removed(producer, a_removal(numbers))

    assert (document["state"], states(document)) == ("COMPLETED", {numbers[0]: "released"})
    assert [each["outcome"] for each in sold_for(carrier, document)] == ["COMPLETED"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"when_tainted": "split"}, "when_tainted: Bandwidth has no taint window"),
        ({"allow_partial": False}, "allow_partial: "),
        ({"options": {"site_id": "743"}}, "options.site_id: is unknown for removals"),
        ({"numbers": None, "criteria": {"npa": "919"}, "quantity": 2}, "criteria: cannot be used for removals"),
    ],
)
def test_a_removal_that_cannot_be_is_refused_at_the_door(
    producer: Producer,
    an_order: MakeOrder,
    carrier: SandboxControl,
    ledger_url: str,
    changes: dict[str, Any],
    says: str,
) -> None:
    """By field and rule, and the carrier hears nothing of it."""
    wanted = {"kind": "remove_numbers", "criteria": None, "quantity": None, "numbers": ["+19192340250"], **changes}
    order, order_id = an_order(**wanted), str(uuid4())
    with pytest.raises(ValueError, match="order refused") as refused:
        producer.submit(order, order_id=order_id)
    assert says in str(refused.value)
    assert traces(ledger_url, carrier, order_id, order["key"]) == []
