"""CM.com's number requests, from the queue to their true end: real worker, beat, broker, ledger and HTTP."""

import json
from typing import Any

import pytest

from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import QUICK, Backend, MakeOrder, Producer
from tests.acceptance.queries import acquired, rows, sold_for
from tests.processes import eventually

pytestmark = pytest.mark.acceptance

CM = {
    **QUICK,
    "ACCOUNT_GUID": "0c0ffee0-0000-4000-8000-00000000acc0",
    "PRODUCT_TOKEN": "0c0ffee0-0000-4000-8000-00000000c0de",
    "COMPANY_PROFILES": json.dumps(
        {
            "NLD:local": "0c0ffee0-0000-4000-8000-000000000031",
            "USA:local": "0c0ffee0-0000-4000-8000-000000000001",
        }
    ),
}
REQUESTS = "/numberRequests"


@pytest.fixture
def backend(shared_backend: Backend) -> Backend:
    """One installation for all of these."""
    return shared_backend


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {f"NUMBER_ORDERS_CM__{name}": value for name, value in CM.items()}


@pytest.fixture
def a_dutch_order(an_order: MakeOrder) -> MakeOrder:
    """Make orders for two numbers in Amsterdam, unless told otherwise."""

    def make(npa: str = "020", *, criteria: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        where = criteria or {"country": "NLD", "number_type": "local", "npa": npa}
        return an_order(**{"carrier": "cm", "criteria": where, "quantity": 2, **changes})

    return make


def awaited(producer: Producer, order_id: str, **wanted: str) -> dict[str, Any]:
    """Ask until the order shows what is wanted of it."""
    document: dict[str, Any] = {}
    for _ in eventually():
        document = producer.call("orders.get", order_id)
        if wanted.items() <= document.items():
            break
    return document


def await_asks(ledger_url: str, order_id: str, asks: int = 4) -> None:
    """Wait until an order that does not move was asked about so often since it moved."""
    for _ in eventually():
        if rows(ledger_url, "SELECT FROM owed WHERE order_id = %s AND lane = 'ask' AND attempts >= %s", order_id, asks):
            break


@pytest.mark.parametrize("npa", ["020", "010"])
@pytest.mark.parametrize("shape", ["numbers", "merged"])
@pytest.mark.parametrize("written", ["e164", "digits", "double_zero"])
def test_an_order_is_completed_with_the_numbers_that_were_assigned(
    producer: Producer, a_dutch_order: MakeOrder, carrier: SandboxControl, npa: str, shape: str, written: str
) -> None:
    """At hand or after review, in every shape and spelling."""
    carrier.behave(cm_range_shape=shape, cm_number_format=written)
    ticket = producer.submit(a_dutch_order(npa, quantity=3, notes="group 7"))
    document = producer.await_end(ticket["order_id"])

    assert document["state"] == "COMPLETED"
    (sold,) = sold_for(carrier, ticket)
    assert acquired(document) == sorted(sold["bought"])
    assert len(acquired(document)) == 3


def test_whole_ranges_and_american_numbers(
    producer: Producer, a_dutch_order: MakeOrder, carrier: SandboxControl
) -> None:
    """Ranges are told number by number; North America wants its region."""
    ranges = producer.submit(a_dutch_order(quantity=20, range_size=10))
    american = {"country": "USA", "number_type": "local", "npa": "646", "state": "NY"}
    singles = producer.submit(a_dutch_order(criteria=american))
    for ticket, count in ((ranges, 20), (singles, 2)):
        document = producer.await_end(ticket["order_id"])
        assert (document["state"], len(acquired(document))) == ("COMPLETED", count)
        assert acquired(document) == sorted(sold_for(carrier, ticket)[0]["bought"])


def test_a_part_is_told_as_a_part(producer: Producer, a_dutch_order: MakeOrder, carrier: SandboxControl) -> None:
    ticket = producer.submit(a_dutch_order("0113", quantity=4))
    document = producer.await_end(ticket["order_id"])
    assert (document["state"], len(acquired(document))) == ("PARTIAL", 2)
    assert acquired(document) == sorted(sold_for(carrier, ticket)[0]["bought"])


def test_a_rejection_is_told_with_its_reason(
    producer: Producer, a_dutch_order: MakeOrder, carrier: SandboxControl
) -> None:
    """Rejected by a person, and refused at the door."""
    ticket = producer.submit(a_dutch_order("0111"))
    document = producer.await_end(ticket["order_id"])
    assert (document["state"], acquired(document)) == ("FAILED", [])
    assert document["reason"]
    refused = producer.submit(a_dutch_order(quantity=40, range_size=20))
    document = producer.await_end(refused["order_id"])
    assert (document["state"], sold_for(carrier, refused)) == ("FAILED", [])
    assert document["reason"].startswith("range_size: must be one of 10, 100")


def test_what_nobody_decides_stays_open(
    producer: Producer, a_dutch_order: MakeOrder, carrier: SandboxControl, ledger_url: str
) -> None:
    """It is asked about, again and again, and never given up."""
    ticket = producer.submit(a_dutch_order("0114"))
    awaited(producer, ticket["order_id"], state="OPEN", carrier_status="IN_PROGRESS")
    await_asks(ledger_url, ticket["order_id"])
    document = producer.call("orders.get", ticket["order_id"])
    assert (document["state"], document["final"]) == ("OPEN", False)
    assert len(sold_for(carrier, ticket)) == 1


def test_an_order_is_called_back_while_people_decide(
    producer: Producer, a_dutch_order: MakeOrder, carrier: SandboxControl
) -> None:
    """CM.com is asked at once; twice is once, and the end is told as CM.com has it."""
    order_id = producer.submit(a_dutch_order("0114"))["order_id"]
    awaited(producer, order_id, state="OPEN")
    for _ in range(2):
        producer.call("orders.cancel", order_id, "crm", "typed twice")

    document = producer.await_end(order_id)
    assert (document["state"], acquired(document)) == ("CANCELLED", [])
    assert document["reason"].startswith("cancelled at the carrier")
    assert [request["outcome"] for request in sold_for(carrier, document)] == ["CANCELLED"]


def test_completed_without_a_number_is_believed_by_nobody(
    producer: Producer, a_dutch_order: MakeOrder, ledger_url: str
) -> None:
    ticket = producer.submit(a_dutch_order("0117"))
    awaited(producer, ticket["order_id"], state="OPEN", carrier_status="COMPLETED")
    await_asks(ledger_url, ticket["order_id"])
    document = producer.call("orders.get", ticket["order_id"])
    assert (document["state"], document["final"]) == ("OPEN", False)
    assert "shows 0 of 2 numbers" in document["reason"]


def test_a_word_never_heard_of_is_open_and_raises_an_alarm(
    producer: Producer, a_dutch_order: MakeOrder, carrier: SandboxControl, ledger_url: str
) -> None:
    carrier.behave(strange_s=60)
    ticket = producer.submit(a_dutch_order("0115"))
    awaited(producer, ticket["order_id"], state="OPEN", carrier_status="AWAITING_STARLIGHT")
    carrier.advance(60)
    assert producer.await_end(ticket["order_id"])["state"] == "COMPLETED"
    alarms = rows(ledger_url, "SELECT * FROM alarms WHERE carrier = 'cm' AND subject LIKE '%%STARLIGHT%%'")
    assert len(alarms) == 1


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "hang_after", "garbage", "empty", "no_guid"])
def test_an_answer_that_was_lost_is_found_by_its_comment_and_nothing_is_bought_twice(
    producer: Producer, a_dutch_order: MakeOrder, carrier: SandboxControl, ledger_url: str, fault: str
) -> None:
    carrier.behave(listing_delay_s=0.3)
    if fault == "no_guid":
        carrier.behave(cm_guid_in_reply=False)
    else:
        carrier.fault(fault, method="POST", path=REQUESTS, times=1)
    ticket = producer.submit(a_dutch_order(quantity=3, notes="for order number-orders:1"))
    document = producer.await_end(ticket["order_id"])

    assert document["state"] == "COMPLETED"
    (sold,) = sold_for(carrier, ticket)
    assert acquired(document) == sorted(sold["bought"])
    (order,) = rows(ledger_url, "SELECT sends, losses FROM orders WHERE order_id = %s", ticket["order_id"])
    assert order == {"sends": 1, "losses": 1}


def test_what_is_not_listed_is_for_a_person_to_decide(
    producer: Producer, a_dutch_order: MakeOrder, carrier: SandboxControl, ledger_url: str
) -> None:
    """It never arrived, which only a person may conclude: CM.com's list promises nothing."""
    carrier.fault("drop_before", method="POST", path=REQUESTS, times=1)
    ticket = producer.submit(a_dutch_order())
    document = awaited(producer, ticket["order_id"], state="PARKED")
    assert document["state"] == "PARKED"
    assert "comments of all number requests" in document["reason"]
    assert rows(ledger_url, "SELECT lane FROM owed WHERE order_id = %s", ticket["order_id"]) == []
    assert sold_for(carrier, ticket) == []
    (order,) = rows(ledger_url, "SELECT sends, losses FROM orders WHERE order_id = %s", ticket["order_id"])
    assert order == {"sends": 1, "losses": 1}


def test_carriers_work_side_by_side_and_others_are_refused_by_name(
    producer: Producer, a_dutch_order: MakeOrder, an_order: MakeOrder
) -> None:
    tickets = [producer.submit(order) for order in (a_dutch_order(), an_order())]
    documents = [producer.await_end(ticket["order_id"]) for ticket in tickets]
    assert [(document["carrier"], document["state"]) for document in documents] == [
        ("cm", "COMPLETED"),
        ("bandwidth", "COMPLETED"),
    ]
    with pytest.raises(ValueError, match="carrier: is not one of ours: bandwidth, cm"):
        producer.submit(an_order(carrier="acme"))
    with pytest.raises(ValueError, match=r"criteria\.country: no company profile is set up for BEL:local"):
        producer.submit(a_dutch_order(criteria={"country": "BEL", "number_type": "local", "npa": "02"}))


def test_the_token_is_in_no_receipt(producer: Producer, a_dutch_order: MakeOrder, ledger_url: str) -> None:
    ticket = producer.submit(a_dutch_order())
    producer.await_end(ticket["order_id"])
    kept = rows(ledger_url, "SELECT * FROM receipts WHERE order_id = %s", ticket["order_id"])
    assert len(kept) >= 2
    assert CM["PRODUCT_TOKEN"] not in json.dumps(kept, default=str)
