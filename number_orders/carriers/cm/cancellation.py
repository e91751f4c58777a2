"""Calling a number request back: what CM.com's answer to that means, and what is kept of it.

Knows one request and its answers. Whether the number request was cancelled is never concluded from them: its own status
says so, and is read afterwards (`number_orders.carriers.cm.adapter`).
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from number_orders.carriers.cm.answers import GONE
from number_orders.carriers.cm.facts import CANCEL, TIMED_OUT, Meaning, same_word
from number_orders.carriers.cm.json import read_rejection
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Purpose, SaveProgress
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.events import Event, StillOpen
from number_orders.orders.model import Order

ASKED: Final = "cancel_asked"
"""In `Order.progress`: what CM.com said when it was asked to cancel. It is asked until it has said something."""

_TAKEN: Final = "CM.com was asked to cancel it, and has not done so yet"
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})


def wants_calling_back(order: Order, event: Event, statuses: Mapping[str, Meaning]) -> bool:
    """Tell whether CM.com is to be asked to cancel a request that stands as `event` says."""
    if order.cancel_asked_at is None or ASKED in order.progress or not isinstance(event, StillOpen):
        return False
    is_done = statuses.get(same_word(event.carrier_status)) is Meaning.COMPLETED  # only its numbers are missing
    return event.carrier_status != GONE and not is_done


def call_back(order: Order, path: str) -> Generator[CarrierRequest | SaveProgress, CarrierAnswer, str]:
    """Ask CM.com to cancel the number request at `path`; keep what it says, and return it in words."""
    answer = yield CarrierRequest("POST", f"{path}{CANCEL}", Purpose.PREPARE, accept="application/json")
    said = _said(answer)
    if said is None:  # nothing of the request, so it is asked again at the next look
        return f"CM.com could not be asked to cancel it (HTTP {answer.status}); it is asked again"
    yield SaveProgress({**order.progress, ASKED: said})
    return said


def with_word(event: Event, said: object) -> Event:
    """Return an event with what CM.com said of cancelling, as long as nothing has come of that."""
    if not isinstance(event, StillOpen) or not isinstance(said, str):
        return event
    return replace(event, detail=f"{said}; {event.detail}" if event.detail else said)


def _said(answer: CarrierAnswer) -> str | None:
    if answer.status // 100 == HTTPStatus.OK // 100:
        return _TAKEN
    if answer.status not in _REFUSALS or TIMED_OUT.search(answer.body):
        return None
    try:
        return f"CM.com does not cancel it: {read_rejection(answer.body).reason}"
    except UnreadableAnswer:
        return None
