"""Tasks for producers and people: `orders.submit`, `submit_many`, `get`, `cancel`, `park`, `resolve` and `retry`.

Only these messages carry data, so they are acknowledged late. Each task is idempotent: run a second time with the same
message, it finds the order in the ledger and answers the same. `park`, `resolve` and `retry` are for operators, and so
is `cancel` for another's order; who has sent a message is told by `number_orders.fulfilment.callers`. What a caller
does wrong is a refusal (`tasks.answers`).
"""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import structlog
from celery import Task, shared_task
from celery.app.trace import trace_task
from celery.exceptions import Reject

from number_orders.fulfilment.answers import outcomes_to_json, ticket_to_json
from number_orders.fulfilment.intake import Refusal, Submission, Ticket
from number_orders.fulfilment.retries import RetryOutcome
from number_orders.fulfilment.runtime import Services, runtime
from number_orders.orders.errors import Fault, LedgerUnavailable, OrderRefused, UnknownOrder
from number_orders.orders.events import Adopted, Resolution, SentAgain, WrittenOff
from number_orders.orders.model import CarrierOrderId, Lane, Order, OrderId
from tasks.answers import answering, wants_problems
from tasks.callers import arrived_as, submit_proven
from tasks.tickets import spent_ids, store_results

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

HELD_S: Final = 15.0
"""How long a message is held while the ledger is unavailable, before it goes back to the broker."""
_RETRY_EVERY_S: Final = 0.5
_TEXT_MAX: Final = 1000

_ACKED_LATE: Final[dict[str, Any]] = {
    "bind": True,
    "acks_late": True,  # until the ledger has the order, the message is the order
    "acks_on_failure": True,  # a refused order is answered, not retried
    "acks_on_timeout": False,  # a task that its time limit cut off is not answered
    # If its child is killed, the message comes again, a little later and at most five times: a message that kills
    # every child would otherwise come back at once and for ever.
    "retry_on_worker_lost": True,
    "default_retry_delay": 1,
    "max_retries": 5,
    "ignore_result": False,  # the ticket is the result
    "time_limit": 60,  # below the broker's visibility timeout; above it, a second worker would get the same message
    "typing": False,  # a call with wrong arguments is refused with a reason, like any other bad order
}


IntakeOutcome = Ticket | Refusal | Exception
"""What became of one order of a batch."""


class TaskReport(NamedTuple):
    """What a pool process reports to its worker about one task. Celery's requests read it as a tuple of three."""

    failed: bool
    result: Any
    """The result as text, or the error with its traceback."""
    took_s: float | None


_KNOWN_OUTCOME: ContextVar[IntakeOutcome | None] = ContextVar("known_outcome", default=None)
"""What the batch has already decided about the task that runs now."""


@shared_task(name="orders.submit", **_ACKED_LATE)
@answering
def submit(self: Task[Any, Any], *args: object, **kwargs: object) -> dict[str, object]:
    """Accept one order and answer with its ticket.

    The order's id is the argument `order_id`; without one, the task's id, if that is a UUID.
    """
    outcome = _KNOWN_OUTCOME.get()
    if outcome is None:
        request = {**vars(self.request), "args": args, "kwargs": kwargs}
        one = _submission(request, _spent([request]))
        arrived = arrived_as(vars(self.request))
        (outcome,) = _run_or_hold(lambda services: submit_proven(services, [(arrived, one)]))
    match outcome:
        case Ticket():
            return ticket_to_json(outcome)
        case Refusal():
            raise outcome.error
        case _:
            raise outcome


def submit_batch(requests: Sequence[Mapping[str, Any]]) -> list[TaskReport]:
    """Run `submit` for many messages with one statement. `workers.batches` gives this job to a pool child.

    Each request is a Celery request with its arguments, and is answered as if it had run alone. The accepted ones are
    answered here, together; each of the others then runs as a Celery task, with its own error, log lines and retries.
    """
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=submit.name, together=len(requests))
    began = time.monotonic()
    outcomes = _accept_batch(requests)
    tickets = {index: ticket_to_json(outcome) for index, outcome in enumerate(outcomes) if isinstance(outcome, Ticket)}
    store_results(
        submit.backend, [(requests[i], ticket) for i, ticket in tickets.items() if _wants_result(requests[i])]
    )
    return [
        TaskReport(failed=False, result=repr(tickets[index]), took_s=time.monotonic() - began)
        if index in tickets
        else _run_task(request, outcomes[index])
        for index, request in enumerate(requests)
    ]


def _wants_result(request: Mapping[str, Any]) -> bool:
    ignored = request.get("ignore_result")
    return not (submit.ignore_result if ignored is None else ignored)


def _accept_batch(requests: Sequence[Mapping[str, Any]]) -> list[IntakeOutcome | None]:
    """Accept the orders that can be read; return the outcome of each request, None where it must still be run."""
    outcomes: list[IntakeOutcome | None] = [None] * len(requests)
    readable: dict[int, Submission] = {}
    spent = _spent(requests)
    for index, request in enumerate(requests):
        try:
            readable[index] = _submission(request, spent)
        except OrderRefused as refused:
            outcomes[index] = refused
    arrivals = [(arrived_as(requests[index]), one) for index, one in readable.items()]
    try:
        accepted = _run_or_hold(lambda services: submit_proven(services, arrivals))
    except Reject as requeued:
        return [outcome or requeued for outcome in outcomes]
    except Exception:  # one order made the statement of all fail: run each alone, so that each gets its own answer
        log.exception("not_taken_together")
        return outcomes
    for index, outcome in zip(readable, accepted, strict=True):
        outcomes[index] = outcome
    return outcomes


def _run_task(request: Mapping[str, Any], outcome: IntakeOutcome | None) -> TaskReport:
    """Run one request as a Celery task; if the batch has decided its outcome, `submit` only answers with it."""
    token = _KNOWN_OUTCOME.set(outcome)
    try:
        context = {**request, "is_eager": False}
        result, failure, took_s, text = trace_task(submit, request["id"], request["args"], request["kwargs"], context)
    finally:
        _KNOWN_OUTCOME.reset(token)
    return TaskReport(failed=bool(failure), result=result if failure else text, took_s=took_s)


@shared_task(name="orders.submit_many", **_ACKED_LATE)
@answering
def submit_many(self: Task[Any, Any], *args: object, **kwargs: object) -> dict[str, object]:
    """Accept up to 500 orders: each good one gets a ticket, each bad one is reported by its index."""
    given = _call(args, kwargs, ("orders", "producer"))
    raws, claimed = given["orders"], _producer(given)
    arrived, trace_parent = arrived_as(vars(self.request)), vars(self.request).get("traceparent")
    if not isinstance(raws, Sequence) or isinstance(raws, str):
        raise _refusal("orders", "must be a list of orders")

    async def take(services: Services) -> list[Ticket | Refusal]:
        caller = await services.callers.identify(arrived)
        producer = caller.producer(claimed)
        return await services.intake.submit_many(
            raws, producer=producer, is_proven=caller.is_proven, trace_parent=trace_parent
        )

    return outcomes_to_json(_run_or_hold(take))


@shared_task(name="orders.get", bind=True, ignore_result=False, typing=False)
@answering
def get(
    self: Task[Any, Any], order_id: object = None, key: object = None, producer: object = "default"
) -> dict[str, Any]:
    """Answer with the document of the order that has this id or, without one, this key of this producer."""
    by_key = key if order_id is None and isinstance(key, str) else None
    claimed = _producer({"producer": producer})
    named, arrived = None if by_key else _order_id(order_id), arrived_as(vars(self.request))

    async def read(services: Services) -> dict[str, Any]:
        caller = await services.callers.identify(arrived)
        found = named or await services.intake.find(str(by_key), producer=caller.producer(claimed))
        await services.callers.require_own(caller, found)
        (document,) = await services.orders.documents([found])
        return document

    current = runtime()
    return current.run(read(current.services))


@shared_task(name="orders.cancel", **_ACKED_LATE)
@answering
def cancel(self: Task[Any, Any], order_id: str, by: str = "producer", why: str | None = None) -> dict[str, Any]:
    """Cancel an order: at once if it was not sent yet, otherwise by asking the carrier, if the carrier can cancel.

    The answer is the order document afterwards.
    """
    person, reason = _text("by", by), None if why is None else _text("why", why)
    found, arrived = _order_id(order_id), arrived_as(vars(self.request))

    async def cancel_it(services: Services) -> list[dict[str, Any]]:
        caller = await services.callers.identify(arrived)
        await services.callers.require_own(caller, found)
        order = await services.orders.cancel(found, by=caller.person(person), why=reason)
        return await services.orders.documents([order.order_id])

    (document,) = _run_or_hold(cancel_it)
    return document


@shared_task(name="orders.park", **_ACKED_LATE)
@answering
def park(self: Task[Any, Any], order_id: str, why: str, by: str) -> dict[str, object]:
    """Stop all automatic work on an order until a person decides about it."""
    person, reason = _text("by", by), _text("why", why)
    found, arrived = _order_id(order_id), arrived_as(vars(self.request))

    async def park_it(services: Services) -> Order:
        operator = await services.callers.identify_operator(arrived)
        return await services.orders.park(found, by=operator.person(person), why=reason)

    order = _run_or_hold(park_it)
    return {"order_id": str(order.order_id), "state": order.state.value}


@shared_task(name="orders.retry", **_ACKED_LATE)
@answering
def retry(
    self: Task[Any, Any], order_id: str, by: str, why: str | None = None, lane: str | None = None
) -> dict[str, object]:
    """Work on a waiting order now, on all its lanes or on one; on the lane `tell`, deliver its document again."""
    person, reason = _text("by", by), None if why is None else _text("why", why)
    only = None if lane is None else _lane(lane)
    found, arrived = _order_id(order_id), arrived_as(vars(self.request))

    async def hurry(services: Services) -> list[RetryOutcome]:
        operator = await services.callers.identify_operator(arrived)
        return await services.orders.retry([found], by=operator.person(person), why=reason, lane=only)

    outcomes = _run_or_hold(hurry)
    if not outcomes:
        raise UnknownOrder(order_id)
    (outcome,) = outcomes
    lanes = [one.value for one in outcome.lanes]
    return {"order_id": order_id, "state": outcome.order.state.value, "lanes": lanes, "refused": outcome.refusal}


@shared_task(name="orders.resolve", **_ACKED_LATE)
@answering
def resolve(
    self: Task[Any, Any], order_id: str, as_: str, why: str, by: str, carrier_order_id: str | None = None
) -> dict[str, object]:
    """Carry out a person's decision about a parked order: `as_` is `adopted`, `send-again` or `failed`."""
    decision = _decision(as_, why, by, carrier_order_id)
    found, arrived = _order_id(order_id), arrived_as(vars(self.request))

    async def decide(services: Services) -> Order:
        operator = await services.callers.identify_operator(arrived)
        return await services.orders.resolve(found, replace(decision, by=operator.person(decision.by)))

    order = _run_or_hold(decide)
    return {"order_id": str(order.order_id), "state": order.state.value}


def _run_or_hold(work: Callable[[Services], Coroutine[Any, Any, Result]]) -> Result:
    """Run `work` and return its result; while the ledger is unavailable, hold the message and try again.

    Raises:
        Reject: The ledger stayed unavailable for `HELD_S`: Celery gives the message back to the broker.
    """
    until = time.monotonic() + HELD_S
    while True:
        try:
            current = runtime()
            return current.run(work(current.services))
        except LedgerUnavailable as away:
            log.warning("ledger_away", held_for_s=round(HELD_S - until + time.monotonic(), 1), trouble=str(away))
            if time.monotonic() >= until:
                raise Reject(str(away), requeue=True) from None  # the log line above has the cause
            time.sleep(_RETRY_EVERY_S)


def _spent(requests: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the task ids under which a refusal is stored that the callers of these requests may read as theirs.

    Our client never uses a task id twice.
    """
    return spent_ids(submit.backend, [request["id"] for request in requests if not wants_problems(request)])


def _submission(request: Mapping[str, Any], spent: frozenset[str]) -> Submission:
    given = _call(request["args"], request["kwargs"], ("order", "producer", "order_id"))
    chosen = given.get("order_id")
    order_id = _uuid(request["id"]) if chosen is None else _order_id(chosen)
    return Submission(
        given["order"],
        _producer(given),
        order_id,
        is_id_spent=request["id"] in spent,
        trace_parent=request.get("traceparent"),
    )


def _call(args: Sequence[object], kwargs: Mapping[str, object], names: Sequence[str]) -> dict[str, Any]:
    """Read a task's arguments, given by position or by name; only the first is needed."""
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if set(given) - set(names) or len(args) > len(names) or names[0] not in given:
        raise _refusal(
            "message", f"must have the arguments {names[0]} and, optionally, {', '.join(names[1:])}, and no others"
        )
    return given


def _producer(given: Mapping[str, object]) -> str:
    producer = given.get("producer", "default")
    if not isinstance(producer, str) or not 0 < len(producer) <= 100 or not producer.isprintable():  # noqa: PLR2004
        raise _refusal("producer", "must be a name of at most 100 printable characters")
    return producer


def _decision(as_: object, why: object, by: object, carrier_order_id: object) -> Resolution:
    match as_, carrier_order_id:
        case "adopted", str(named):
            return Adopted(CarrierOrderId(_text("carrier_order_id", named)), _text("by", by), _text("why", why))
        case "send-again" | "sent_again", None:  # 0.1.0 spelled it with an underscore
            return SentAgain(_text("by", by), _text("why", why))
        case "failed", None:
            return WrittenOff(_text("by", by), _text("why", why))
        case _:
            raise _refusal(
                "as_", "must be adopted, send-again or failed; adopted needs a carrier_order_id, the others take none"
            )


def _text(name: str, given: object) -> str:
    text = " ".join(given.split()) if isinstance(given, str) else ""
    if 0 < len(text) <= _TEXT_MAX and text.isprintable():  # PostgreSQL stores no NUL and no half surrogate pair
        return text
    raise _refusal(name, f"must be a printable text of at most {_TEXT_MAX} characters, and not empty")


def _lane(given: object) -> Lane:
    if given not in set(Lane):
        raise _refusal("lane", f"must be one of {', '.join(Lane)}")
    return Lane(str(given))


def _refusal(field: str, rule: str) -> OrderRefused:
    return OrderRefused([Fault(field, rule)])


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _order_id(text: object) -> OrderId:
    found = _uuid(text if isinstance(text, str) else None)
    if found is None:
        raise _refusal("order_id", "must be a UUID")
    return OrderId(found)
