"""Cancelling a number request at CM.com: while it is open, until CM.com has replied."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from number_orders.carriers.cm.cancellation import PROGRESS
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Purpose, SaveProgress
from number_orders.orders.errors import NoAnswer
from number_orders.orders.events import Acknowledged, CalledBack, Event, Filled, FilledWithErrors, Refused, StillOpen
from number_orders.orders.lifecycle import advance
from number_orders.orders.model import Kind, Order, State
from number_orders.orders.policy import CarrierPolicy
from tests.unit.carriers.cm.examples import (
    CARRIER,
    HTML,
    OTHER,
    REQUESTS,
    THEIRS,
    a_range,
    acquired,
    an_order,
    answered,
    shown,
)

A, B = "+31201234560", "+31201234561"
ONE = f"{REQUESTS}/{THEIRS}"
CALLED_BACK = an_order(cancel_asked_at=datetime(2026, 1, 3, tzinfo=UTC), progress={"seen": 1})
REFUSAL = {"message": "The request is finalised.", "messageCode": "finalised"}

Kept = dict[str, object] | None


def converse(order: Order, *answers: CarrierAnswer) -> tuple[Event, list[str], Kept]:
    """Run the conversation; return its event, its requests, and what was saved."""
    waiting, asked, kept = list(answers), list[str](), None
    conversation = CARRIER.ask(order)
    step = next(conversation)
    try:
        while True:
            if isinstance(step, SaveProgress):
                kept = dict(step.progress)
                step = conversation.send(None)
                continue
            assert isinstance(step, CarrierRequest)
            assert step.purpose is (Purpose.READ if step.method == "GET" else Purpose.PREPARE)
            asked.append(f"{step.method} {step.path.removeprefix(ONE)}".rstrip())
            step = conversation.send(waiting.pop(0))
    except StopIteration as end:
        assert not waiting, "an answer was not asked for"
        event: Event = end.value
        return event, asked, kept


def stands(status: str, *ranges: dict[str, Any], **more: Any) -> CarrierAnswer:
    return answered(200, shown(status, *ranges, **more))


NEW, CANCELLED = stands("created"), stands("cancelled", statusReason="by the customer")
TWICE_READ = ["GET", "POST /cancel", "GET"]


def test_orders_can_be_cancelled() -> None:
    assert CARRIER.capabilities.cancellable == {Kind.NEW_NUMBERS}


def test_an_order_that_is_not_cancelled_is_only_read() -> None:
    assert converse(an_order(), NEW) == (StillOpen("created", slow=True), ["GET"], None)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_cancelled_request_ends_called_back(status: int) -> None:
    event, asked, kept = converse(CALLED_BACK, NEW, answered(status, shown("cancelled")), CANCELLED)

    assert event == CalledBack("cancelled at the carrier: by the customer", "cancelled")
    assert asked == TWICE_READ
    assert kept is not None
    assert kept["seen"] == 1


def test_an_accepted_cancellation_is_sent_once() -> None:
    event, _, kept = converse(CALLED_BACK, NEW, answered(200, shown()), NEW)
    assert event == StillOpen("created", detail="CM.com was asked to cancel it, and has not done so yet", slow=True)

    once_asked = replace(CALLED_BACK, progress=kept or {})
    assert converse(once_asked, NEW) == (event, ["GET"], None)
    assert converse(once_asked, CANCELLED)[0] == CalledBack("cancelled at the carrier: by the customer", "cancelled")


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_refused_cancellation_is_the_reason_of_an_open_order(status: int) -> None:
    event, asked, kept = converse(
        CALLED_BACK, NEW, answered(status, REFUSAL), stands("accepted", statusReason="at work")
    )

    why = "CM.com does not cancel it: The request is finalised."
    assert event == StillOpen("accepted", detail=f"{why}; at work", slow=True)
    assert (asked, kept) == (TWICE_READ, {"seen": 1, "cancel_asked": why})
    assert converse(replace(CALLED_BACK, progress=kept or {}), NEW)[1] == ["GET"]


def test_numbers_assigned_during_the_cancellation_are_ours() -> None:
    event, asked, _ = converse(CALLED_BACK, NEW, answered(409, REFUSAL), stands("completed", a_range(A, 2)))
    assert (event, asked) == (Filled("completed", acquired(A, B)), TWICE_READ)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (stands("completed", a_range(A, 2)), Filled("completed", acquired(A, B))),
        (stands("rejected", statusReason="no"), Refused("no", carrier_status="rejected")),
        (CANCELLED, CalledBack("cancelled at the carrier: by the customer", "cancelled")),
    ],
)
def test_a_request_that_has_ended_is_not_cancelled(answer: CarrierAnswer, end: Event) -> None:
    assert converse(CALLED_BACK, answer) == (end, ["GET"], None)


def test_a_cancelled_request_with_numbers_ends_with_errors() -> None:
    event, _, _ = converse(CALLED_BACK, NEW, answered(200, shown()), stands("cancelled", a_range(A)))
    assert isinstance(event, FilledWithErrors)
    assert event.numbers == acquired(A)


@pytest.mark.parametrize("answer", [stands("completed"), answered(404)])
def test_a_completed_or_unknown_request_is_not_cancelled(answer: CarrierAnswer) -> None:
    event, asked, kept = converse(CALLED_BACK, answer)
    assert isinstance(event, StillOpen)
    assert (asked, kept) == (["GET"], None)


def test_a_request_with_an_unknown_status_is_cancelled() -> None:
    assert converse(CALLED_BACK, stands("PONDERING"), answered(200), CANCELLED)[1] == TWICE_READ


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b""),
        (403, {"message": "no"}),
        (404, {"message": "no such path"}),
        (405, b""),
        (503, HTML),
        (400, b""),
        (400, {"message": "The request timed out"}),
        (409, {"guid": THEIRS, "message": "odd"}),
    ],
)
def test_an_answer_that_is_not_about_the_request_hides_no_end(status: int, body: object) -> None:
    event, _, kept = converse(CALLED_BACK, NEW, answered(status, body), NEW)
    assert kept is None
    assert isinstance(event, StillOpen)
    assert event.detail == f"CM.com could not be asked to cancel it (HTTP {status}); it is asked again"

    assert converse(CALLED_BACK, NEW, answered(status, body), CANCELLED)[0] == CalledBack(
        "cancelled at the carrier: by the customer", "cancelled"
    )


def test_a_request_that_cannot_be_read_is_not_cancelled() -> None:
    with pytest.raises(NoAnswer):
        converse(CALLED_BACK, answered(503))


def test_a_request_that_is_followed_instead_of_a_cancelled_one_is_cancelled_too() -> None:
    """CM.com has two with our reference. What it replied about the first does not hold for the second."""
    order = replace(CALLED_BACK, state=State.OPEN, sends=2, losses=1, progress={PROGRESS: "CM.com was asked"})
    both = answered(200, [shown("cancelled"), shown("accepted", guid=OTHER)], x_cm_pagination_total="2")

    event, _, _ = converse(order, CANCELLED, both, stands("accepted", guid=OTHER))
    assert event == Acknowledged(OTHER, "accepted", instead_of=THEIRS)
    moved = advance(order, event, now=CALLED_BACK.accepted_at, policy=CarrierPolicy()).order
    living = stands("accepted", guid=OTHER)
    _, asked, _ = converse(moved, living, answered(202, {}), living)

    assert [request.removeprefix(f"POST {REQUESTS}/{OTHER}") for request in asked if "POST" in request] == ["/cancel"]
