"""Writes Celery's task events about orders, so that Flower shows each order as one row for its whole life.

The row's uuid is the order's id, its name `order.<carrier>.<kind>`, its kwargs what was ordered, its result where the
order stands. Every event has all of it, so a Flower that was restarted shows an order rightly once it moves.

| the order | Flower's state |
|---|---|
| accepted | RECEIVED |
| the carrier has it | STARTED |
| waits: held back by a rule, in doubt, not sent | RETRY, with the reason and the moment |
| parked | PARKED |
| COMPLETED | SUCCESS |
| PARTIAL, COMPLETED_WITH_ERRORS | the same word |
| FAILED | FAILURE |
| CANCELLED | REVOKED |

Celery makes a state of any event's type, and Flower filters by it. Only green and red are reserved: for what went well,
and for what failed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from number_orders.ledger.intake import NewOrder
from number_orders.ledger.orders import PendingStep
from number_orders.orders.model import Order, OrderId, OrderRequest, State
from number_orders.orders.numbers import E164, count_in_words

TaskEvent = dict[str, Any]
"""One of Celery's events as it is sent, without its sender."""

_ENDS: Final[Mapping[State, str]] = MappingProxyType(
    {
        State.COMPLETED: "task-succeeded",
        State.PARTIAL: "task-partial",
        State.COMPLETED_WITH_ERRORS: "task-completed_with_errors",
        State.FAILED: "task-failed",
        State.CANCELLED: "task-revoked",
    }
)
_NUMBERS_SHOWN: Final = 10


class OrderEvents:
    """Writes the events of the orders of one process (`fulfilment.ports.OrderMonitor`)."""

    def __init__(self, send: Callable[[Sequence[TaskEvent]], None], *, now: Callable[[], datetime]) -> None:
        """`send` takes the events and neither waits nor raises; `now` is the ledger's time."""
        self._send = send
        self._now = now

    def on_accepted(self, orders: Sequence[NewOrder], states: Mapping[OrderId, State]) -> None:
        """Write that orders were accepted, and which of them wait for a person already."""
        now = self._now().timestamp()
        self._send([event for order in orders for event in _accepted(order, states[order.order_id], now)])

    def on_moved(self, steps: Sequence[PendingStep]) -> None:
        """Write where orders stand now. Steps of which nothing can be seen are left out."""
        now = self._now().timestamp()
        self._send([event for step in steps for event in _moved(step, now)])


def _accepted(order: NewOrder, state: State, now: float) -> Iterator[TaskEvent]:
    row = _row(order.order_id, order.request, received=now)
    not_before = order.request.not_before
    waits = _until(not_before) if not_before and not_before.timestamp() > now else None
    yield row | {"type": "task-received", "timestamp": now, "result": waits, "eta": _moment(not_before)}
    if state is State.PARKED:
        yield row | {"type": "task-parked", "timestamp": now, "result": "PARKED: over its producer's budget"}


def _moved(step: PendingStep, now: float) -> Iterator[TaskEvent]:
    before, after = step.before, step.step.order
    if step.step.late or before.state.is_final or after.state is State.SUBMITTING:
        return
    if after.state is State.OPEN and before.state is State.OPEN and after.reason == before.reason:
        return
    row = _row(after.order_id, after.request, received=after.accepted_at.timestamp())
    row |= {"timestamp": now, "eta": None, "exception": None}
    if before.state is State.PARKED:  # Celery takes what follows a state of its own for old news, but for a retry
        yield row | {"type": "task-retried", "exception": after.reason, "result": after.reason}
    match after.state:
        case State.ACCEPTED | State.IN_DOUBT:
            moment = min((effect.not_before for effect in step.step.effects), default=None)
            waits = f"{_until(moment)}: {after.reason}" if moment else after.reason
            waiting = {"exception": after.reason, "eta": _moment(moment)}
            yield row | waiting | {"type": "task-retried", "result": f"{after.state.value}: {waits}"}
        case State.OPEN:
            yield row | {"type": "task-started", "result": _stands(after)}
        case State.PARKED:
            yield row | {"type": "task-parked", "result": f"PARKED: {after.reason}", "exception": after.reason}
        case _:
            yield row | _end(step)


def _end(step: PendingStep) -> TaskEvent:
    order = step.step.order
    ended_at = order.ended_at or order.accepted_at
    event: TaskEvent = {
        "type": _ENDS[order.state],
        "result": _outcome(order, step.done),
        "runtime": max(0.0, (ended_at - order.accepted_at).total_seconds()),
    }
    return event | {"exception": order.reason} if order.state is State.FAILED else event


def _row(order_id: OrderId, request: OrderRequest, *, received: float) -> TaskEvent:
    return {
        "uuid": str(order_id),
        "name": f"order.{request.carrier}.{request.kind.value}",
        "args": "()",
        "kwargs": repr(dict(_ordered(request))),
        "received": received,
    }


def _ordered(request: OrderRequest) -> Iterator[tuple[str, object]]:
    """Yield what was ordered. Names and notes of customers are left out."""
    yield "key", request.key
    yield "quantity", request.wanted
    if request.criteria:
        yield "criteria", {name: getattr(request.criteria, name) for name in sorted(request.criteria.given())}
    if request.numbers:
        yield "numbers", _shown(request.numbers)


def _shown(numbers: Sequence[E164]) -> str:
    more = len(numbers) - _NUMBERS_SHOWN
    return " ".join((*numbers[:_NUMBERS_SHOWN], *([f"and {more} more"] if more > 0 else [])))


def _stands(order: Order) -> str:
    where = f"OPEN at {order.request.carrier}"
    where += f" as {order.carrier_order_id}" if order.carrier_order_id else ""
    return f"{where}: {order.reason}" if order.reason else where


def _outcome(order: Order, done: Sequence[E164]) -> str:
    count = f"{len(done)} of {count_in_words(order.request.wanted)}"
    reason = order.reason or ""
    said = reason if reason.startswith(count) else "; ".join(filter(None, (count, reason)))
    text = f"{order.state.value}: {said}"
    return f"{text}; {_shown(done)}" if done else text


def _until(moment: datetime) -> str:
    return f"waits until {moment:%Y-%m-%d %H:%M:%S} UTC"


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
