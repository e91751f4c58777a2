"""Holds an inquiry by hand: each request is answered with the next answer, and the requests are kept."""

from collections.abc import Mapping
from typing import TypeVar

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose

Told = TypeVar("Told")


def answer(body: bytes | str = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> CarrierAnswer:
    """Return an answer as the courier hands it on."""
    return CarrierAnswer(status, headers or {}, body.encode() if isinstance(body, str) else body)


def held(inquiry: Inquiry[Told], *answers: CarrierAnswer) -> tuple[list[CarrierRequest], Told]:
    """Return every request of an inquiry and what it came to. No question may cost anything."""
    requests = []
    told = None
    waiting = iter(answers)
    try:
        request = next(inquiry)
        while given := next(waiting, None):
            requests.append(request)
            request = inquiry.send(given)
    except StopIteration as end:
        told = end.value
    assert told is not None, f"it wants more than {len(answers)} answers"
    assert len(requests) == len(answers), "it left answers unread"
    assert {request.purpose for request in requests} <= {Purpose.READ}
    return requests, told


def asked(inquiry: Inquiry[Told]) -> CarrierRequest:
    """Return the first request alone."""
    request = next(inquiry)
    inquiry.close()
    return request
