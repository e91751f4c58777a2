"""Runs an adapter's conversations by hand: each request gets the next of the given answers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from number_orders.carriers.contract import (
    CarrierAnswer,
    CarrierRequest,
    Conversation,
    Inquiry,
    KnownNumbers,
    LookUpNumbers,
    Purpose,
    SaveProgress,
)
from number_orders.orders.events import Event
from number_orders.orders.numbers import E164

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""The ledger's time, and since when it holds the numbers that it holds."""

Result = TypeVar("Result")


def answer(body: bytes | str = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> CarrierAnswer:
    """Return an answer as the courier passes it on."""
    return CarrierAnswer(status, headers or {}, body.encode() if isinstance(body, str) else body)


def converse(
    conversation: Conversation,
    *answers: CarrierAnswer,
    held: tuple[E164, ...] = (),
    kept: list[SaveProgress] | None = None,
) -> tuple[Event, list[CarrierRequest]]:
    """Run a conversation and return its event and requests. Every answer must be used.

    `held` are the numbers that the ledger holds. What the conversation keeps is added to `kept`; without `kept` it must
    keep nothing.
    """
    unused, requests = list(answers), []
    step = next(conversation)
    while True:
        reply: CarrierAnswer | KnownNumbers | None = None
        match step:
            case CarrierRequest():
                requests.append(step)
                reply = unused.pop(0)
            case LookUpNumbers(numbers=numbers):
                reply = KnownNumbers(NOON, {number: NOON for number in numbers if number in held})
            case SaveProgress() if kept is not None:
                kept.append(step)
            case _:
                raise AssertionError(step)
        try:
            step = conversation.send(reply)
        except StopIteration as end:
            assert not unused, "an answer was not asked for"
            event: Event = end.value
            return event, requests


def inquire(inquiry: Inquiry[Result], *answers: CarrierAnswer) -> tuple[list[CarrierRequest], Result]:
    """Run an inquiry and return its requests and its result. It may only read, and every answer must be used."""
    requests = []
    result = None
    unused = iter(answers)
    try:
        request = next(inquiry)
        while reply := next(unused, None):
            requests.append(request)
            request = inquiry.send(reply)
    except StopIteration as end:
        result = end.value
    assert result is not None, f"it wants more than {len(answers)} answers"
    assert len(requests) == len(answers), "it left answers unread"
    assert {request.purpose for request in requests} <= {Purpose.READ}
    return requests, result


def first_request(inquiry: Inquiry[Result]) -> CarrierRequest:
    """Return the first request of an inquiry, and stop there."""
    request = next(inquiry)
    inquiry.close()
    return request
