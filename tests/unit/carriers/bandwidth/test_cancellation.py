"""Cancelling a purchase at Bandwidth: when CloseOrder is sent, what is saved, and how the order ends."""

from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Purpose, SaveProgress
from number_orders.orders.errors import NoAnswer
from number_orders.orders.events import (
    CalledBack,
    Event,
    Filled,
    FilledWithErrors,
    Parked,
    PartlyFilled,
    Refused,
    StillOpen,
)
from number_orders.orders.model import Kind, Order
from tests.unit.carriers.bandwidth.examples import (
    BANDWIDTH,
    HTML,
    ORDERS,
    OTHER,
    REFERENCE,
    THEIRS,
    A,
    B,
    a_search,
    acquired,
    an_order,
    answered,
    error,
    own_list,
    searched,
    shown,
    wrapped,
)
from tests.unit.carriers.conversations import NOON, converse

AGREED = answered(200, "<OrderResponse/>")
NOT_NOW = answered(
    400,
    "<OrderResponse><ErrorList><Error><Code>5060</Code><Description>Only Backordered order can be closed.</Description>"
    "</Error></ErrorList></OrderResponse>",
)
SAID_NO = "HTTP 400: 5060: Only Backordered order can be closed."
WAITS = shown("BACKORDERED", completed=wrapped(A), errors=error("5520", "awaiting additional numbers"))
NOTHING = shown("FAILED", errors=error("5521", "no numbers allocated"))


def called_back(quantity: int = 2, *, closing: dict[str, Any] | None = None, **more: Any) -> Order:
    progress = {"closing": {"order": THEIRS, "words": None, **closing}} if closing else {}
    request = a_search(quantity, npa="919", request={"name": "Spring", "allow_backorder": True})
    standing = {"cancel_asked_at": NOON, "carrier_status": "BACKORDERED", "progress": progress}
    return an_order(request, **{**standing, **more})


def ask(order: Order, *answers: CarrierAnswer | str) -> tuple[Event, list[CarrierRequest], list[Any]]:
    kept: list[SaveProgress] = []
    given = (each if isinstance(each, CarrierAnswer) else answered(200, each) for each in answers)
    event, requests = converse(BANDWIDTH.ask(order), *given, kept=kept)
    return event, requests, [keep.progress.get("closing") for keep in kept]


def test_purchases_can_be_cancelled_and_removals_cannot() -> None:
    assert BANDWIDTH.capabilities.cancellable == {Kind.NEW_NUMBERS}


def test_a_cancelled_backorder_is_closed_and_read_again() -> None:
    event, requests, kept = ask(called_back(), WAITS, AGREED, NOTHING)

    assert [(r.method, r.path, r.purpose) for r in requests] == [
        ("GET", f"{ORDERS}/{THEIRS}", Purpose.READ),
        ("PUT", f"{ORDERS}/{THEIRS}", Purpose.PREPARE),
        ("GET", f"{ORDERS}/{THEIRS}", Purpose.READ),
    ]
    body = fromstring(requests[1].body)
    said = {child.tag: child.text for child in body}
    assert (body.tag, said) == ("Order", {"Name": "Spring", "CustomerOrderId": REFERENCE, "CloseOrder": "true"})
    assert requests[1].content_type == "application/xml"
    assert kept == [
        {"order": THEIRS, "taken": "unknown", "words": None},
        {"order": THEIRS, "taken": "agreed", "words": None},
    ]
    assert event == CalledBack("the backorder was closed before anything was bought", "FAILED")


def test_the_close_request_is_saved_before_it_is_sent() -> None:
    """If the worker is killed in between, the request is sent again, and the end is still recognized."""
    conversation = BANDWIDTH.ask(called_back())
    next(conversation)

    steps = [conversation.send(answered(200, WAITS)), conversation.send(None)]

    assert isinstance(steps[0], SaveProgress)
    assert isinstance(steps[1], CarrierRequest)
    assert steps[1].method == "PUT"


def test_other_progress_is_kept_beside_it() -> None:
    order = called_back(progress={"else": 1})
    kept: list[SaveProgress] = []
    converse(BANDWIDTH.ask(order), answered(200, WAITS), AGREED, answered(200, NOTHING), kept=kept)
    assert [keep.progress["else"] for keep in kept] == [1, 1]


def test_a_closed_backorder_keeps_what_it_bought() -> None:
    closed = shown("PARTIAL", completed=wrapped(A), errors=error("5520", "awaiting additional numbers"))

    event, _, _ = ask(called_back(), WAITS, AGREED, closed)

    assert event == PartlyFilled("PARTIAL", acquired(A), "the backorder was closed: 1 of 2 numbers")


def test_a_backorder_filled_meanwhile_is_filled() -> None:
    event, _, kept = ask(called_back(), WAITS, NOT_NOW, shown("COMPLETE", completed=wrapped(A, B)))

    assert event == Filled("COMPLETE", acquired(A, B))
    assert kept[-1] == {"order": THEIRS, "taken": "refused", "words": SAID_NO}


def test_complete_with_fewer_numbers_ends_with_errors_after_closing_too() -> None:
    short = shown("COMPLETE", completed=wrapped(A))

    event, _, _ = ask(called_back(), WAITS, AGREED, short, own_list(A))

    assert isinstance(event, FilledWithErrors)


def test_an_order_that_is_not_cancelled_is_not_closed() -> None:
    event, requests, _ = ask(searched(2), WAITS)

    assert len(requests) == 1
    assert event == StillOpen("BACKORDERED", acquired(A), "5520: awaiting additional numbers", slow=True)


@pytest.mark.parametrize("status", ["RECEIVED", "PROCESSING", "CANCELLING"])
def test_an_order_that_is_not_backordered_is_not_closed_and_says_so(status: str) -> None:
    event, requests, kept = ask(called_back(), shown(status))

    assert (len(requests), kept) == (1, [])
    assert isinstance(event, StillOpen)
    assert (
        event.detail
        == "cancellation requested; Bandwidth closes an order only while it is backordered, so this one goes on"
    )


def test_an_order_that_ended_by_itself_is_not_cancelled() -> None:
    event, requests, _ = ask(called_back(), shown("FAILED", errors=error("5018", "The entire quantity is unavailable")))

    assert len(requests) == 1
    assert event == Refused("The entire quantity is unavailable", "5018", "FAILED")


def test_an_agreed_close_request_is_not_sent_again() -> None:
    """Bandwidth may take its time to close the order."""
    order = called_back(closing={"taken": "agreed"})

    event, requests, kept = ask(order, WAITS)

    assert (len(requests), kept) == (1, [])
    assert isinstance(event, StillOpen)
    assert event.detail == "cancellation requested; Bandwidth has agreed to close it; 5520: awaiting additional numbers"
    assert isinstance(ask(order, NOTHING)[0], CalledBack)


def test_a_refused_close_request_is_sent_again_while_backordered() -> None:
    """The refusal holds for one moment: the order itself is BACKORDERED before and after."""
    order = called_back()

    event, _, kept = ask(order, WAITS, NOT_NOW, WAITS)

    assert isinstance(event, StillOpen)
    assert event.detail == (
        f"cancellation requested; Bandwidth did not close it ({SAID_NO}), so it goes on; "
        "5520: awaiting additional numbers"
    )
    assert event.slow
    again, requests, _ = ask(called_back(closing=kept[-1]), WAITS, AGREED, NOTHING)
    assert [r.method for r in requests] == ["GET", "PUT", "GET"]
    assert isinstance(again, CalledBack)


def test_a_failure_with_its_own_error_after_a_refused_close_request_is_a_failure() -> None:
    order = called_back(closing={"taken": "refused", "words": SAID_NO})

    assert isinstance(ask(order, shown("FAILED", errors=error("5003", "Provisioning Failure")))[0], Refused)
    assert ask(order, shown("PARTIAL", completed=wrapped(A)))[0] == PartlyFilled(
        "PARTIAL", acquired(A), "1 of 2 numbers"
    )


def test_a_backorder_that_fails_without_an_error_was_closed() -> None:
    """HTTP may send the request twice. Then the second is refused, because the first has closed the order."""
    event, _, kept = ask(called_back(), WAITS, NOT_NOW, NOTHING)

    assert kept[-1]["taken"] == "refused"
    assert isinstance(event, CalledBack)


def test_after_a_lost_reply_a_failed_backorder_is_cancelled() -> None:
    """The courier ends the conversation after the first save. The next ask finds the order closed."""
    event, requests, _ = ask(called_back(closing={"taken": "unknown"}), NOTHING)

    assert [r.method for r in requests] == ["GET"]
    assert isinstance(event, CalledBack)


def test_after_a_lost_reply_the_close_request_is_sent_again() -> None:
    _, requests, kept = ask(called_back(closing={"taken": "unknown"}), WAITS, AGREED, NOTHING)

    assert [r.method for r in requests] == ["GET", "PUT", "GET"]
    assert kept[-1]["taken"] == "agreed"


@pytest.mark.parametrize("answer", [answered(500), answered(502, HTML), answered(302)])
def test_an_error_to_the_close_request_does_not_stop_the_reading(answer: CarrierAnswer) -> None:
    event, _, kept = ask(called_back(), WAITS, answer, WAITS)

    assert kept[-1]["taken"] == "unknown"
    assert isinstance(event, StillOpen)
    assert event.detail is not None
    assert "not known yet" in event.detail


@pytest.mark.parametrize("status", [401, 403, 404, 409])
def test_without_the_role_to_close_the_order_is_still_read(status: int) -> None:
    event, _, kept = ask(called_back(), WAITS, answered(status), WAITS)

    assert kept[-1]["taken"] == "refused"
    assert isinstance(event, StillOpen)


def test_an_error_after_the_close_request_leaves_it_saved() -> None:
    kept: list[SaveProgress] = []
    with pytest.raises(NoAnswer):
        converse(BANDWIDTH.ask(called_back()), answered(200, WAITS), AGREED, answered(503), kept=kept)
    assert len(kept) == 2


def test_a_close_request_for_another_carrier_order_is_ignored() -> None:
    """The order gave way to another send of ours, which is cancelled as well."""
    order = called_back(closing={"order": OTHER, "taken": "agreed"})

    _, requests, _ = ask(order, WAITS, AGREED, NOTHING)

    assert [r.method for r in requests] == ["GET", "PUT", "GET"]


# --- somebody else's order ------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["RECEIVED", "BACKORDERED", "COMPLETE", "FAILED"])
def test_an_order_with_another_reference_is_parked(status: str) -> None:
    """Adopted under a wrong id: a person decides again, with the evidence. Nothing of it becomes ours, or is closed."""
    theirs = shown(status, completed=wrapped(A), reference="crm-9")

    event, requests, kept = ask(called_back(), theirs)

    assert (len(requests), kept) == (1, [])
    assert event == Parked(
        f"bandwidth's order {THEIRS} bears the reference 'crm-9' and not ours ({REFERENCE}); "
        f"it stands at {status}, numbers: 1, and nothing of that was taken for ours"
    )


def test_an_order_without_a_reference_may_have_been_made_by_hand() -> None:
    body = shown("COMPLETE", completed=wrapped(A)).replace(f"<CustomerOrderId>{REFERENCE}</CustomerOrderId>", "")

    assert ask(searched(1), body)[0] == Filled("COMPLETE", acquired(A))
