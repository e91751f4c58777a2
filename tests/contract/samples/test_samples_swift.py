"""Swift's page "Number Ordering": we write and read what it prints, and the sandbox does the same."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from number_orders.carriers.contract import (
    CarrierAnswer,
    CarrierRequest,
    KnownNumbers,
    LookUpNumbers,
    Purpose,
    SaveProgress,
)
from number_orders.carriers.swift.adapter import Swift
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, Event, StillOpen
from number_orders.orders.model import CarrierName, CarrierOrderId, Criteria, Kind, Order, OrderId, OrderRequest, State
from number_orders.orders.numbers import E164
from tests.contract.samples.conftest import Send
from tests.contract.samples.index import Role, of, sample
from tests.contract.samples.shapes import json_shape
from tests.unit.carriers.conversations import converse

CART, CART_ANSWER = "swift/02-cart.json", "swift/03-cart-answer.json"
CHECKOUTS: Final = ("swift/06-checkout-answer.json", "swift/10-checkout-answer.json")
COVERAGE: Final = ("swift/01-coverage-answer.json", "swift/07-coverage-answer-value-twice.json")
REQUESTS: Final[dict[str, str | None]] = {
    "swift/04-new-numbers.json": "swift/05-new-numbers-answer.json",
    "swift/08-remove-numbers.json": "swift/09-remove-numbers-answer.json",
    "swift/11-add-messaging-numbers.json": None,
}
"""Requests for a cart, and their answers; that to the last one is cut off on the page."""
BROKEN: Final = "swift/11-add-messaging-numbers.broken.json"


def printed(file: str) -> Any:
    """Return a printed body, parsed."""
    return json.loads(sample(file).body)


def a_cart(send: Send) -> str:
    """Make a cart with the printed request, and return its id."""
    answer = send(sample(CART).line, sample(CART).body)
    assert answer.status_code == sample(CART_ANSWER).status
    assert json_shape(answer.json()) == json_shape(printed(CART_ANSWER))
    cart_id: str = answer.json()["data"]["id"]
    return cart_id


def test_every_sample_is_expected_somewhere() -> None:
    answers = {CART_ANSWER, *CHECKOUTS, *COVERAGE, *filter(None, REQUESTS.values())}
    assert answers == of("swift", Role.ANSWER)
    assert {CART, *REQUESTS} == of("swift", Role.REQUEST)
    assert {BROKEN} == of("swift", Role.BROKEN_REQUEST)


@pytest.mark.parametrize("file", REQUESTS)
def test_the_sandbox_takes_every_printed_request_and_answers_in_the_printed_shape(send: Send, file: str) -> None:
    answer = send(sample(file).line, sample(file).body, cart_id=a_cart(send))
    assert answer.status_code == 201, answer.text
    if like := REQUESTS[file]:
        assert json_shape(answer.json()) == json_shape(printed(like))
        assert answer.json()["data"]["type"] == printed(like)["data"]["type"]
        assert answer.json()["data"]["data"] == printed(like)["data"]["data"] == {}


@pytest.mark.parametrize("like", CHECKOUTS)
def test_the_sandbox_checks_out_as_printed(send: Send, like: str) -> None:
    cart_id = a_cart(send)
    first = next(iter(REQUESTS))
    assert send(sample(first).line, sample(first).body, cart_id=cart_id).status_code == 201
    answer = send(sample(like).line, cart_id=cart_id)
    assert answer.status_code == sample(like).status
    assert json_shape(answer.json()) == json_shape(printed(like))
    for name in ("status", "error_code", "completed_at", "notes"):
        assert answer.json()["data"][name] == printed(like)["data"][name]
    assert answer.json()["data"]["id"] == cart_id


@pytest.mark.parametrize("like", COVERAGE)
def test_the_sandbox_counts_as_printed(send: Send, like: str) -> None:
    answer = send(sample(like).line)
    assert answer.status_code == sample(like).status
    assert {path.rpartition(".value")[0] or path for path in json_shape(answer.json())} == {
        path.rpartition(".value")[0] or path for path in json_shape(printed(like))
    }


def test_the_broken_request_is_refused_and_adds_nothing(send: Send) -> None:
    cart_id = a_cart(send)
    answer = send(sample(BROKEN).line, sample(BROKEN).body, cart_id=cart_id)
    assert answer.status_code == 400
    assert send("GET /api/v1/carts/{cart_id}/requests", cart_id=cart_id).json()["data"]["items"] == []


# -- what the adapter makes of it ------------------------------------------------------------------

THEIRS: Final = CarrierOrderId("01KBC4VZE1CFMG5MAB089000000")
NAMED: Final = tuple(E164(f"+1705555123{digit}") for digit in (4, 5, 6))
NOW: Final = datetime(2025, 12, 1, 6, tzinfo=UTC)
SWIFT: Final = Swift()


def an_order(kind: Kind, **more: Any) -> Order:
    """Return what the page orders as an order of ours."""
    request = OrderRequest("k-1", CarrierName("swift"), kind, notes="request note", **more)
    return Order(OrderId(UUID("0192f0c1-7a1b-7c3d-8e4f-5a6b7c8d9e0f")), request, NOW, state=State.SUBMITTING, sends=1)


PURCHASE: Final = an_order(Kind.NEW_NUMBERS, criteria=Criteria(country="USA"), quantity=5)
ORDERS: Final[dict[str, Order]] = {
    "swift/04-new-numbers.json": PURCHASE,
    "swift/08-remove-numbers.json": an_order(Kind.REMOVE_NUMBERS, numbers=NAMED),
    "swift/11-add-messaging-numbers.json": an_order(
        Kind.ADD_MESSAGING_NUMBERS,
        numbers=NAMED,
        options={
            "mms_enabled": True,
            "api_key_ids": ["01KBC4VZE1CFMG5MAB089000001", "01KBC4VZE1CFMG5MAB089000002"],
        },
    ),
}


def submit(order: Order, *files: str) -> tuple[Event, list[CarrierRequest], list[Mapping[str, object]]]:
    """Submit an order and answer as the page prints; return the event, what was sent, and what was saved."""
    answers = [CarrierAnswer(sample(file).status or 0, {}, sample(file).body) for file in files]
    long_held = KnownNumbers(NOW, dict.fromkeys(NAMED, NOW - timedelta(days=1)))
    asked, kept = list[CarrierRequest](), list[Mapping[str, object]]()
    conversation = SWIFT.submit(order)
    step = next(conversation)
    while True:
        reply: CarrierAnswer | KnownNumbers | None = None
        match step:
            case SaveProgress(progress=progress):
                kept.append(progress)
            case LookUpNumbers():
                reply = long_held
            case CarrierRequest(purpose=Purpose.READ):  # of the account's numbers, which the page does not print
                reply = CarrierAnswer(200, {}, b'{"type": "list", "data": {"items": [], "page_info": {}}}')
            case CarrierRequest():
                asked.append(step)
                reply = answers.pop(0)
        try:
            step = conversation.send(reply)
        except StopIteration as end:
            assert not answers
            return end.value, asked, kept


@pytest.mark.parametrize("checkout", CHECKOUTS)
@pytest.mark.parametrize("file", REQUESTS)
def test_the_printed_answers_are_an_order_that_is_acknowledged(file: str, checkout: str) -> None:
    added = REQUESTS[file] or "swift/05-new-numbers-answer.json"  # the last one's answer is not printed
    event, asked, kept = submit(ORDERS[file], CART_ANSWER, added, checkout)
    assert event == Acknowledged(THEIRS, "NEW")
    assert [f"{one.method} {one.path}" for one in asked] == [
        sample(one).line.replace("{cart_id}", THEIRS) for one in (CART, file, checkout)
    ]
    assert [one.purpose for one in asked] == [Purpose.PREPARE, Purpose.PREPARE, Purpose.COMMIT]
    assert kept[-1]["cart_id"] == THEIRS


@pytest.mark.parametrize("file", REQUESTS)
def test_the_printed_requests_are_what_we_write_for_them(file: str) -> None:
    """Ours differ in the names, in our order id in the cart, and in where the last one has its notes."""
    added = REQUESTS[file] or "swift/05-new-numbers-answer.json"
    _, (cart, request, checkout), _ = submit(ORDERS[file], CART_ANSWER, added, CHECKOUTS[0])
    opened, theirs = json.loads(cart.body), printed(CART)
    assert opened["type"] == theirs["type"]
    assert set(opened["data"]) - set(theirs["data"]) == {"reference_id"}
    assert opened["data"]["reference_id"] == str(ORDERS[file].order_id)

    ours, theirs = json.loads(request.body), printed(file)
    notes = theirs["data"]["data"].pop("notes", None) or theirs["data"]["notes"]
    assert ours == {**theirs, "data": {**theirs["data"], "name": ours["data"]["name"], "notes": notes}}
    assert checkout.body == b""


@pytest.mark.parametrize("checkout", CHECKOUTS)
def test_a_printed_order_is_read_as_one_that_has_just_begun(checkout: str) -> None:
    order = replace(PURCHASE, state=State.OPEN, carrier_order_id=THEIRS)
    event, _ = converse(SWIFT.ask(order), CarrierAnswer(200, {}, sample(checkout).body))
    assert event == StillOpen("NEW", detail="checkout cart")


@pytest.mark.parametrize("file", sorted({*of("swift", Role.ANSWER), *of("bandwidth", Role.ANSWER)} - {*CHECKOUTS}))
def test_an_answer_to_another_question_moves_no_order(file: str) -> None:
    order = replace(PURCHASE, state=State.OPEN, carrier_order_id=THEIRS)
    with pytest.raises((NoAnswer, UnreadableAnswer)):
        converse(SWIFT.ask(order), CarrierAnswer(200, {}, sample(file).body))
