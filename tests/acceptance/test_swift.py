"""Swift's three kinds of orders, from the queue to their true end: real worker, beat, broker, ledger and HTTP.

The taint window is a few seconds here, at the carrier as with us; `test_swift_taint.py` has all thirty minutes of it.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from number_orders.orders.reference import derive_reference
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import QUICK, Backend, Producer
from tests.acceptance.queries import rows, sold_for, traces
from tests.acceptance.swift_orders import (
    CHECKOUT,
    KEY,
    OWN,
    SUB,
    UNAPPROVED,
    a_purchase,
    a_removal,
    age_when_removed,
    brought_along,
    environment,
    put_on_the_account,
    states,
)
from tests.processes import eventually

pytestmark = pytest.mark.acceptance

WINDOW_S = 3.0
MARGIN_S = 0.5
SECOND_CHECKOUTS = ("409", "422", "same")

Order = dict[str, Any]
Ends = dict[str, tuple[Order, str, set[str]]]
"""How it goes, the order, how it ends, and what becomes of its numbers."""

PURCHASES: Ends = {
    "all of them": (a_purchase(quantity=3), "COMPLETED", {"usable"}),
    "by exchange": (a_purchase(criteria={"npa": "919", "nxx": "270"}), "COMPLETED", {"usable"}),
    "by place": (a_purchase(criteria={"state": "NC", "rate_center": "DURHAM"}), "COMPLETED", {"usable"}),
    "by LATA and country": (a_purchase(criteria={"lata": "888", "country": "CAN"}), "COMPLETED", {"usable"}),
    "by type": (a_purchase(criteria={"npa": "303", "number_type": "tendlc"}), "COMPLETED", {"usable"}),
    "partly": (a_purchase("808", 4), "PARTIAL", {"usable"}),
    "more than there are": (a_purchase("207", 9, account=SUB), "PARTIAL", {"usable"}),
    "not at all": (a_purchase("406", 2, account=SUB), "FAILED", set()),
    "with errors": (a_purchase("802", 2, account=SUB), "COMPLETED_WITH_ERRORS", {"usable"}),
    "fewer than it says": (a_purchase("208", 4, account=UNAPPROVED), "PARTIAL", {"usable"}),
    "after a word nobody knows": (a_purchase("605", 2, account=UNAPPROVED), "COMPLETED", {"usable"}),
    "late usable": (a_purchase("307", 2, account=UNAPPROVED), "COMPLETED", {"usable"}),
    "on an account nobody knows": (a_purchase(account="01K3S620PA5JPWPR10F0000009"), "FAILED", set()),
}
BROUGHT: dict[str, tuple[Order, str, dict[str, str]]] = {
    "all": (
        brought_along("+12025550111", "+12025550112", options={"mms_enabled": True}),
        "COMPLETED",
        {"+12025550111": "usable", "+12025550112": "usable"},
    ),
    "half": (
        brought_along("+12025559901", "+12025550113"),
        "PARTIAL",
        {"+12025559901": "usable", "+12025550113": "failed"},
    ),
    "none": (brought_along("+12025559902"), "FAILED", {"+12025559902": "failed"}),
    "with errors": (brought_along("+12025559908"), "COMPLETED_WITH_ERRORS", {"+12025559908": "usable"}),
    "fewer than it says": (
        brought_along("+12025559907", "+12025550114"),
        "PARTIAL",
        {"+12025559907": "usable", "+12025550114": "failed"},
    ),
    "to a sub account": (brought_along("+12025550115", account=SUB), "COMPLETED", {"+12025550115": "usable"}),
    "without approval": (
        brought_along("+12025550116", account=UNAPPROVED),
        "FAILED",
        {"+12025550116": "failed"},
    ),
}


@pytest.fixture
def backend(shared_backend: Backend) -> Backend:
    """One installation for all of these."""
    return shared_backend


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return environment(**QUICK, TAINT_WINDOW_S=str(WINDOW_S), TAINT_MARGIN_S=str(MARGIN_S))


@pytest.fixture(autouse=True)
def books(carrier: SandboxControl) -> Iterator[None]:
    """Whatever a test does: nothing is bought twice, and no number leaves inside its window."""
    carrier.behave(taint_s=WINDOW_S, swift_usable_s=[0.05, 0.3], swift_slow_usable_s=2, strange_s=0.5)
    yield
    report = carrier.report()
    assert (report["violations"], report["duplicates"]) == ([], {"customer_order_ids": {}, "numbers": {}})


def ended(producer: Producer, orders: Iterable[Order]) -> list[Order]:
    """Hand orders in all at once, and return their documents when all of them are at their end."""
    order_ids = [producer.submit(order)["order_id"] for order in orders]
    return [producer.await_end(order_id) for order_id in order_ids]


def bought(producer: Producer, *orders: Order) -> list[list[str]]:
    """Buy numbers, order by order."""
    documents = ended(producer, orders)
    assert {document["state"] for document in documents} == {"COMPLETED"}, documents
    return [sorted(states(document)) for document in documents]


def story(url: str, order_id: str, event: str) -> list[Order]:
    """Return what is told of each event of this kind in the life of an order."""
    query = "SELECT detail FROM order_events WHERE order_id = %s AND event = %s ORDER BY version"
    return [row["detail"] for row in rows(url, query, order_id, event)]


def held(url: str, numbers: Iterable[str]) -> set[str]:
    query = "SELECT e164 FROM held_numbers WHERE released_at IS NULL AND e164 = ANY(%s)"
    return {row["e164"] for row in rows(url, query, list(numbers))}


def test_every_end_of_a_purchase_is_told_as_it_was(producer: Producer, carrier: SandboxControl) -> None:
    """By every criterion, and with every end: each number that came is told, and followed until it is usable."""
    documents = ended(producer, (order for order, _, _ in PURCHASES.values()))

    told = {how: (end["state"], set(states(end).values())) for how, end in zip(PURCHASES, documents, strict=True)}
    assert told == {how: (state, became) for how, (_, state, became) in PURCHASES.items()}
    for document in documents:
        theirs = sold_for(carrier, document)
        assert sorted(states(document)) == sorted(number for order in theirs for number in order["bought"])
    reasons = {how: end["reason"] for how, end in zip(PURCHASES, documents, strict=True)}
    assert reasons["not at all"] == "the carrier says ERROR (UPSTREAM_ERROR): 0 of 2 numbers ordered"
    assert reasons["fewer than it says"].startswith("2 of 4 numbers came: the carrier says COMPLETED")


def test_orders_that_could_be_taken_for_each_other_end_with_their_own_numbers(
    producer: Producer, carrier: SandboxControl
) -> None:
    """Same account, same area code, at once; and sub accounts beside them: every order has what was sold to it."""
    orders = [a_purchase(quantity=n + 1, account=account) for account in (OWN, SUB, UNAPPROVED) for n in range(2)]

    documents = ended(producer, orders)

    for order, document in zip(orders, documents, strict=True):
        (theirs,) = sold_for(carrier, document)
        assert (document["state"], theirs["account"]) == ("COMPLETED", order["account"])
        assert sorted(states(document)) == sorted(theirs["bought"])


def test_numbers_brought_along_are_told_one_by_one(producer: Producer, carrier: SandboxControl) -> None:
    documents = ended(producer, (order for order, _, _ in BROUGHT.values()))

    told = {how: (end["state"], states(end)) for how, end in zip(BROUGHT, documents, strict=True)}
    assert told == {how: (state, became) for how, (_, state, became) in BROUGHT.items()}
    for document in documents:
        there = {number for number, state in states(document).items() if state == "usable"}
        assert there == {number for order in sold_for(carrier, document) for number in order["added"]}


@pytest.mark.parametrize("second", SECOND_CHECKOUTS)
def test_an_answer_that_was_lost_is_found_again_by_the_cart(
    producer: Producer, carrier: SandboxControl, second: str
) -> None:
    """Whether the checkout got through, or never arrived, or is not to be seen at first: bought once."""
    carrier.behave(second_checkout=second)
    faults = ("drop_after", "drop_before", "error_after", "garbage")
    orders = [a_purchase(account=account) for account in (OWN, SUB, UNAPPROVED)] + [
        brought_along(f"+1202555{SECOND_CHECKOUTS.index(second)}200")
    ]
    order_ids = []
    for order, fault in zip(orders, faults, strict=True):
        order_ids.append(str(uuid4()))
        carrier.fault(fault, times=1, customer_order_id=derive_reference("default", order["key"]), **CHECKOUT)
        producer.submit(order, order_id=order_ids[-1])

    documents = [producer.await_end(order_id) for order_id in order_ids]

    assert [document["state"] for document in documents] == ["COMPLETED"] * len(orders)
    for document in documents:
        (theirs,) = sold_for(carrier, document)
        assert sorted(states(document)) == sorted(theirs["bought"] + theirs["added"])


def test_a_removal_waits_for_the_window_and_then_leaves(
    producer: Producer, carrier: SandboxControl, ledger_url: str
) -> None:
    """Numbers that we bought, and one that came to the account without us: as the carrier saw it, none too early."""
    ((first, second),) = bought(producer, a_purchase(quantity=2))
    stranger = "+12025550301"
    put_on_the_account(carrier, stranger)

    ours, theirs = ended(producer, [a_removal(first, second), a_removal(stranger)])

    assert (ours["state"], states(ours)) == ("COMPLETED", dict.fromkeys([first, second], "released"))
    assert (theirs["state"], states(theirs)) == ("COMPLETED", {stranger: "released"})
    sold = carrier.report()["orders"]
    assert all(age_when_removed(sold, number) >= timedelta(seconds=WINDOW_S) for number in (first, second, stranger))
    assert held(ledger_url, [first, second]) == set()


def test_a_removal_ordered_before_the_purchase_has_ended_waits_for_it_and_then_for_the_window(
    producer: Producer, carrier: SandboxControl, ledger_url: str
) -> None:
    """Nobody knows yet how old the number will be: `wait` waits, `split` sends what it can, `fail` ends at once."""
    carrier.behave(strange_s=3600)
    ((old, kept),) = bought(producer, a_purchase(quantity=2))
    to_come = ["+12025559906", "+12025550401"]
    bringing = producer.submit(brought_along(*to_come))["order_id"]
    wait, split = (
        producer.submit(order)["order_id"]
        for order in (a_removal(to_come[0]), a_removal(old, to_come[1], when_tainted="split"))
    )
    (failed,) = ended(producer, [a_removal(kept, to_come[0], when_tainted="fail")])
    await_states(producer, wait, {to_come[0]: "requested"})
    await_states(producer, split, {old: "released", to_come[1]: "requested"})

    carrier.advance(3600)
    brought, waited, parted = (producer.await_end(order_id) for order_id in (bringing, wait, split))

    assert (failed["state"], set(states(failed).values())) == ("FAILED", {"failed"})
    assert sold_for(carrier, failed) == []
    assert [document["state"] for document in (brought, waited, parted)] == ["COMPLETED"] * 3
    assert [order["removed"] for order in sold_for(carrier, parted)] == [[old], [to_come[1]]]
    reasons = [deferred["reason"] for deferred in story(ledger_url, wait, "Deferred")]
    assert reasons[0] == "waits for 1 number that another order is still to bring"
    assert held(ledger_url, [old, kept, *to_come]) == {kept}


def test_two_removals_of_one_number_at_once_give_it_up_once(
    producer: Producer, carrier: SandboxControl, ledger_url: str
) -> None:
    """Both wait for the same moment. One removes it; the other is told that it was gone, and not that all is well."""
    ((number,),) = bought(producer, a_purchase())

    documents = ended(producer, [a_removal(number), a_removal(number)])

    assert min(document["state"] for document in documents) == "COMPLETED"
    assert {document["state"] for document in documents} & {"COMPLETED_WITH_ERRORS", "FAILED"}
    removed = [order["removed"] for document in documents for order in sold_for(carrier, document)]
    assert [numbers for numbers in removed if numbers] == [[number]]
    assert held(ledger_url, [number]) == set()


REMOVED = {
    "902": ("PARTIAL", {"released", "failed"}),
    "506": ("FAILED", {"failed"}),
    "709": ("COMPLETED_WITH_ERRORS", {"failed"}),
    "416": ("COMPLETED", {"released"}),
}


def test_every_end_of_a_removal_is_told_number_by_number(
    producer: Producer, carrier: SandboxControl, ledger_url: str
) -> None:
    """What the carrier says is compared with what is on the account: a number is released when it is gone."""
    accounts = (OWN, SUB, OWN, SUB)
    numbers = bought(producer, *(a_purchase(npa, 2, account=at) for npa, at in zip(REMOVED, accounts, strict=True)))
    orders = [a_removal(*pair, account=at) for pair, at in zip(numbers, accounts, strict=True)]

    documents = ended(producer, orders)

    assert [(end["state"], set(states(end).values())) for end in documents] == list(REMOVED.values())
    for document in documents:
        gone = {number for number, state in states(document).items() if state == "released"}
        assert gone == {number for order in sold_for(carrier, document) for number in order["removed"]}
        assert held(ledger_url, states(document)) == states(document).keys() - gone


REFUSED: dict[str, Order] = {
    "criteria.city: is not offered": a_purchase(criteria={"city": "RALEIGH"}),
    "numbers: Swift sells no numbers by name": a_purchase(criteria=None, quantity=None, numbers=["+19195550123"]),
    "allow_backorder: is not offered": a_purchase(allow_backorder=True),
    "allow_partial: cannot be false": a_purchase(allow_partial=False),
    "range_size: is not offered": a_purchase(quantity=10, range_size=10),
    "when_tainted: goes with removals only": a_purchase(when_tainted="split"),
    "quantity: must be 1 to 1000": a_purchase(quantity=1001),
    "options.mms_enabled: must be true or false": brought_along("+12025550111", options={"mms_enabled": "yes"}),
    "numbers.0: must be a North American number": a_removal("+31201234567"),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_what_swift_would_not_take_is_refused_at_the_door(
    producer: Producer, carrier: SandboxControl, ledger_url: str, rule: str
) -> None:
    """By field and rule, and the carrier hears nothing of it."""
    order, order_id = REFUSED[rule], str(uuid4())
    with pytest.raises(ValueError, match="order refused") as refused:
        producer.submit({name: value for name, value in order.items() if value is not None}, order_id=order_id)
    assert rule in str(refused.value)
    assert traces(ledger_url, carrier, order_id, order["key"]) == []


def test_the_key_is_in_no_receipt(producer: Producer, ledger_url: str) -> None:
    (document,) = ended(producer, [a_purchase()])
    kept = rows(ledger_url, "SELECT * FROM receipts WHERE order_id = %s", document["order_id"])
    assert len(kept) >= len(("cart", "request", "checkout", "order", "numbers"))
    assert KEY not in json.dumps(kept, default=str)


def await_states(producer: Producer, order_id: str, wanted: dict[str, str]) -> None:
    """Wait until an order tells this of its numbers, and why those that wait do so."""
    for _ in eventually():
        document = producer.call("orders.get", order_id)
        waiting = [number for number in document["numbers"] if number["state"] == "requested"]
        if states(document) == wanted and all(number["text"] for number in waiting):
            break
