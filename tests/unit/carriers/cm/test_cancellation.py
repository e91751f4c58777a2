"""Calling a number request back at CM.com: asked once it is open, until CM.com has said something to it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Purpose, SaveProgress
from number_orders.orders.errors import NoAnswer
from number_orders.orders.events import CalledBack, Event, Filled, FilledWithErrors, Refused, StillOpen
from number_orders.orders.model import Kind, Order
from tests.unit.carriers.cm.examples import (
    CARRIER,
    HTML,
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


def held(order: Order, *answers: CarrierAnswer) -> tuple[Event, list[str], Kept]:
    """Hold the conversation; return how it ended, what was asked, and what was kept."""
    waiting, asked, kept = list(answers), list[str](), None
    conversation = CARRIER.ask(order)
    turn = next(conversation)
    try:
        while True:
            if isinstance(turn, SaveProgress):
                kept = dict(turn.progress)
                turn = conversation.send(None)
                continue
            assert isinstance(turn, CarrierRequest)
            assert turn.purpose is (Purpose.READ if turn.method == "GET" else Purpose.PREPARE)
            asked.append(f"{turn.method} {turn.path.removeprefix(ONE)}".rstrip())
            turn = conversation.send(waiting.pop(0))
    except StopIteration as end:
        assert not waiting, "an answer was not asked for"
        event: Event = end.value
        return event, asked, kept


def stands(status: str, *ranges: dict[str, Any], **more: Any) -> CarrierAnswer:
    return answered(200, shown(status, *ranges, **more))


NEW, CANCELLED = stands("created"), stands("cancelled", statusReason="by the customer")
TWICE_READ = ["GET", "POST /cancel", "GET"]


def test_orders_can_be_called_back() -> None:
    assert CARRIER.capabilities.cancellable == {Kind.NEW_NUMBERS}


def test_nobody_is_asked_to_cancel_what_was_not_called_back() -> None:
    assert held(an_order(), NEW) == (StillOpen("created", slow=True), ["GET"], None)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_what_is_cancelled_was_called_back(status: int) -> None:
    event, asked, kept = held(CALLED_BACK, NEW, answered(status, shown("cancelled")), CANCELLED)

    assert event == CalledBack("cancelled at the carrier: by the customer", "cancelled")
    assert asked == TWICE_READ
    assert kept is not None
    assert kept["seen"] == 1


def test_what_is_cancelled_later_is_not_asked_for_again() -> None:
    event, _, kept = held(CALLED_BACK, NEW, answered(200, shown()), NEW)
    assert event == StillOpen("created", detail="CM.com was asked to cancel it, and has not done so yet", slow=True)

    once_asked = replace(CALLED_BACK, progress=kept or {})
    assert held(once_asked, NEW) == (event, ["GET"], None)
    assert held(once_asked, CANCELLED)[0] == CalledBack("cancelled at the carrier: by the customer", "cancelled")


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_refusal_is_told_and_the_order_stays_open(status: int) -> None:
    event, asked, kept = held(CALLED_BACK, NEW, answered(status, REFUSAL), stands("accepted", statusReason="at work"))

    why = "CM.com does not cancel it: The request is finalised."
    assert event == StillOpen("accepted", detail=f"{why}; at work", slow=True)
    assert (asked, kept) == (TWICE_READ, {"seen": 1, "cancel_asked": why})
    assert held(replace(CALLED_BACK, progress=kept or {}), NEW)[1] == ["GET"]


def test_what_was_assigned_meanwhile_is_ours() -> None:
    event, asked, _ = held(CALLED_BACK, NEW, answered(409, REFUSAL), stands("completed", a_range(A, 2)))
    assert (event, asked) == (Filled("completed", acquired(A, B)), TWICE_READ)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (stands("completed", a_range(A, 2)), Filled("completed", acquired(A, B))),
        (stands("rejected", statusReason="no"), Refused("no", carrier_status="rejected")),
        (CANCELLED, CalledBack("cancelled at the carrier: by the customer", "cancelled")),
    ],
)
def test_what_has_ended_needs_no_calling_back(answer: CarrierAnswer, end: Event) -> None:
    assert held(CALLED_BACK, answer) == (end, ["GET"], None)


def test_numbers_of_what_was_cancelled_do_not_drop_out_of_sight() -> None:
    event, _, _ = held(CALLED_BACK, NEW, answered(200, shown()), stands("cancelled", a_range(A)))
    assert isinstance(event, FilledWithErrors)
    assert event.numbers == acquired(A)


@pytest.mark.parametrize("answer", [stands("completed"), answered(404)])
def test_what_is_done_or_gone_is_not_asked_for(answer: CarrierAnswer) -> None:
    event, asked, kept = held(CALLED_BACK, answer)
    assert isinstance(event, StillOpen)
    assert (asked, kept) == (["GET"], None)


def test_a_word_never_heard_of_may_still_be_cancelled() -> None:
    assert held(CALLED_BACK, stands("PONDERING"), answered(200), CANCELLED)[1] == TWICE_READ


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
def test_what_says_nothing_of_the_request_is_asked_again_and_hides_no_end(status: int, body: object) -> None:
    event, _, kept = held(CALLED_BACK, NEW, answered(status, body), NEW)
    assert kept is None
    assert isinstance(event, StillOpen)
    assert event.detail == f"CM.com could not be asked to cancel it (HTTP {status}); it is asked again"

    assert held(CALLED_BACK, NEW, answered(status, body), CANCELLED)[0] == CalledBack(
        "cancelled at the carrier: by the customer", "cancelled"
    )


def test_what_cannot_be_read_is_not_cancelled_blindly() -> None:
    with pytest.raises(NoAnswer):
        held(CALLED_BACK, answered(503))
