"""Cancel a number request at CM.com, and read the reply.

Whether the number request was cancelled is never concluded from the reply. Its own status says so, and the conversation
in `adapter` reads it afterwards.
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from number_orders.carriers.cm.facts import CANCEL_SUFFIX, TIMED_OUT, StatusMeaning, normalized
from number_orders.carriers.cm.json import read_rejection
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Purpose, SaveProgress
from number_orders.orders.errors import UnreadableAnswer
from number_orders.orders.events import UNKNOWN_ORDER, Event, StillOpen
from number_orders.orders.model import Order

PROGRESS: Final = "cancel_asked"
"""The key in `Order.progress` for CM.com's reply to the cancellation. CM.com is asked until there is one."""

_CANCEL_ACCEPTED: Final = "CM.com was asked to cancel it, and has not done so yet"
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})


def should_cancel(order: Order, event: Event, statuses: Mapping[str, StatusMeaning]) -> bool:
    """Return whether to ask CM.com now to cancel a number request whose status is `event`."""
    if order.cancel_asked_at is None or PROGRESS in order.progress or not isinstance(event, StillOpen):
        return False
    # A completed request whose numbers are not shown yet is open for us, but not for CM.com.
    is_completed = statuses.get(normalized(event.carrier_status)) is StatusMeaning.COMPLETED
    return event.carrier_status != UNKNOWN_ORDER and not is_completed


def cancel(order: Order, path: str) -> Generator[CarrierRequest | SaveProgress, CarrierAnswer, str]:
    """Ask CM.com to cancel the number request at `path`. Save its reply, and return it in words."""
    answer = yield CarrierRequest("POST", f"{path}{CANCEL_SUFFIX}", Purpose.PREPARE, accept="application/json")
    reply = _reply(answer)
    if reply is None:  # the answer is not about the number request; the next ask tries again
        return f"CM.com could not be asked to cancel it (HTTP {answer.status}); it is asked again"
    yield SaveProgress({**order.progress, PROGRESS: reply})
    return reply


def with_cancel_reply(event: Event, reply: object) -> Event:
    """Return an event with CM.com's reply to the cancellation, if the number request is still open."""
    if not isinstance(event, StillOpen) or not isinstance(reply, str):
        return event
    return replace(event, detail=f"{reply}; {event.detail}" if event.detail else reply)


def _reply(answer: CarrierAnswer) -> str | None:
    if answer.status // 100 == HTTPStatus.OK // 100:
        return _CANCEL_ACCEPTED
    if answer.status not in _REFUSALS or TIMED_OUT.search(answer.body):
        return None
    try:
        return f"CM.com does not cancel it: {read_rejection(answer.body).reason}"
    except UnreadableAnswer:
        return None
