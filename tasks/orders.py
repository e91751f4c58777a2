"""What producers and people call: `orders.submit`, `submit_many`, `get`, `cancel`, `park`, `resolve`, `retry`.

These are the only messages that carry anything, so they are acknowledged late. Each is idempotent: a message
that comes twice finds its order in the ledger and answers the same.
"""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
from celery import Task, shared_task
from celery.app.trace import trace_task
from celery.exceptions import Reject

from number_orders.fulfilment.intake import Refusal, Submission, Ticket
from number_orders.fulfilment.runtime import Runtime, runtime
from number_orders.orders.errors import Fault, LedgerUnavailable, OrderRefused, UnknownOrder
from number_orders.orders.events import Adopted, Resolution, SentAgain, WrittenOff
from number_orders.orders.model import CarrierOrderId, Lane, OrderId
from tasks.tickets import keep_all

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

HELD_S: Final = 15.0
_AGAIN_S: Final = 0.5
_WORDS_MAX: Final = 1000

_CARRIES_AN_ORDER: Final[dict[str, Any]] = {
    "bind": True,
    "acks_late": True,  # the message is the order until the ledger has it
    "acks_on_failure": True,  # a refused order is answered, not tried again
    "acks_on_timeout": False,  # a task cut off by its time limit is not answered
    # A child that was killed under it: the same message again, a little later and a few times only, since
    # coming back at once for ever is what a poisonous message would do.
    "retry_on_worker_lost": True,
    "default_retry_delay": 1,
    "max_retries": 5,
    "ignore_result": False,  # the ticket
    "time_limit": 60,  # below the broker's visibility timeout, or a second worker would be given the same message
    "typing": False,  # a call of the wrong shape is refused with a reason, like any other bad order
}


Outcome = Ticket | Refusal | Exception
"""What became of one of several orders that came in together."""
Traced = tuple[int, Any, float | None]
"""What a pool child reports of a task: whether it failed, what it answered or raised, how long it took."""

_DONE: ContextVar[Outcome | None] = ContextVar("done", default=None)


@shared_task(name="orders.submit", **_CARRIES_AN_ORDER)
def submit(self: Task[Any, Any], *args: object, **kwargs: object) -> dict[str, object]:
    """Take one order in, and answer with its ticket. The task's id is the order's id, when it is a UUID."""
    done = _DONE.get()
    if done is None:
        one = _submission(self.request.id, args, kwargs)
        done = _held(lambda here: here.services.intake.submit(one.raw, producer=one.producer, order_id=one.order_id))
    match done:
        case Ticket():
            return _ticket(done)
        case Refusal():
            log.info("order_refused", faults=[str(fault) for fault in done.error.faults])
            raise _refusal(done.error.faults) from None
        case _:
            raise done


def submit_together(requests: Sequence[Mapping[str, Any]]) -> list[Traced]:
    """Do `submit` for many messages with one statement; a pool child's job, handed to it by `workers.batches`.

    Each is a Celery request with its arguments, and is answered as if it had come alone. What went well is answered
    here, all at once; of the rest each is left to Celery as a task of its own, with its error, log lines and retries.
    """
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=submit.name, together=len(requests))
    began = time.monotonic()
    outcomes = _outcomes(requests)
    tickets = {index: _ticket(outcome) for index, outcome in enumerate(outcomes) if isinstance(outcome, Ticket)}
    keep_all(submit.backend, [(requests[i], ticket) for i, ticket in tickets.items() if not _is_unasked(requests[i])])
    return [
        (0, repr(tickets[index]), time.monotonic() - began) if index in tickets else _traced(request, outcomes[index])
        for index, request in enumerate(requests)
    ]


def _is_unasked(request: Mapping[str, Any]) -> bool:
    """Tell whether nobody is to hear the answer."""
    ignored = request.get("ignore_result")
    return bool(submit.ignore_result if ignored is None else ignored)


def _outcomes(requests: Sequence[Mapping[str, Any]]) -> list[Outcome | None]:
    """Take in what can be read, and return what became of each; None where it is still to be done."""
    outcomes: list[Outcome | None] = [None] * len(requests)
    readable: dict[int, Submission] = {}
    for index, request in enumerate(requests):
        try:
            readable[index] = _submission(request["id"], request["args"], request["kwargs"])
        except ValueError as refused:
            outcomes[index] = refused
    try:
        taken = _held(lambda here: here.services.intake.submit_together(list(readable.values())))
    except Reject as away:
        return [outcome or away for outcome in outcomes]
    except Exception:  # one order broke what all were in: each is tried by itself, and answered
        log.exception("not_taken_together")
        return outcomes
    for index, outcome in zip(readable, taken, strict=True):
        outcomes[index] = outcome
    return outcomes


def _traced(request: Mapping[str, Any], outcome: Outcome | None) -> Traced:
    """Let Celery run the task, which finds its outcome there already."""
    done = _DONE.set(outcome)
    try:
        told = {**request, "is_eager": False}
        raised, info, took_s, answer = trace_task(submit, request["id"], request["args"], request["kwargs"], told)
    finally:
        _DONE.reset(done)
    return (1, raised, took_s) if info else (0, answer, took_s)


@shared_task(name="orders.submit_many", **_CARRIES_AN_ORDER)
def submit_many(self: Task[Any, Any], *args: object, **kwargs: object) -> dict[str, object]:
    """Take up to 500 orders in: the good ones are accepted, each bad one is reported by its index."""
    raws, producer = _call(args, kwargs, "orders")
    if not isinstance(raws, Sequence) or isinstance(raws, str):
        raise _refusal([Fault("orders", "must be a list of orders")])
    outcomes = _held(lambda here: here.services.intake.submit_many(raws, producer=producer))
    return {
        "tickets": [{"index": i, **_ticket(got)} for i, got in enumerate(outcomes) if isinstance(got, Ticket)],
        "refused": [_refused(i, got) for i, got in enumerate(outcomes) if isinstance(got, Refusal)],
    }


@shared_task(name="orders.get", ignore_result=False)
def get(order_id: str) -> dict[str, Any]:
    """Answer with the order document."""
    here = runtime()
    (document,) = here.run(here.services.orders.documents([_order_id(order_id)]))
    return document


@shared_task(name="orders.cancel", **_CARRIES_AN_ORDER)
def cancel(self: Task[Any, Any], order_id: str, by: str = "producer", why: str | None = None) -> dict[str, object]:
    """Call an order back: for good before it is sent, afterwards by asking the carrier, where it can be asked."""
    asker, reason = _words("by", by), None if why is None else _words("why", why)
    order = _held(lambda here: here.services.orders.cancel(_order_id(order_id), by=asker, why=reason))
    return {"order_id": str(order.order_id), "state": order.state.value}


@shared_task(name="orders.park", **_CARRIES_AN_ORDER)
def park(self: Task[Any, Any], order_id: str, why: str, by: str) -> dict[str, object]:
    """Take an order out of the machine's hands, for a person to decide about."""
    who, because = _words("by", by), _words("why", why)
    order = _held(lambda here: here.services.orders.park(_order_id(order_id), by=who, why=because))
    return {"order_id": str(order.order_id), "state": order.state.value}


@shared_task(name="orders.retry", **_CARRIES_AN_ORDER)
def retry(
    self: Task[Any, Any], order_id: str, by: str, why: str | None = None, lane: str | None = None
) -> dict[str, object]:
    """Have an order tried now that waits for its time; on the lane `tell`, have its producer told, or told again."""
    who, because = _words("by", by), None if why is None else _words("why", why)
    where = None if lane is None else _lane(lane)
    found = _held(lambda here: here.services.orders.retry([_order_id(order_id)], by=who, why=because, lane=where))
    if not found:
        raise UnknownOrder(order_id)
    (tried,) = found
    lanes = [one.value for one in tried.lanes]
    return {"order_id": order_id, "state": tried.order.state.value, "lanes": lanes, "refused": tried.refusal}


@shared_task(name="orders.resolve", **_CARRIES_AN_ORDER)
def resolve(
    self: Task[Any, Any], order_id: str, as_: str, why: str, by: str, carrier_order_id: str | None = None
) -> dict[str, object]:
    """Do with a parked order what a person has decided: `as_` is `adopted`, `send-again` or `failed`."""
    decision = _decision(as_, why, by, carrier_order_id)
    order = _held(lambda here: here.services.orders.resolve(_order_id(order_id), decision))
    return {"order_id": str(order.order_id), "state": order.state.value}


def _held(work: Callable[[Runtime], Coroutine[Any, Any, Result]]) -> Result:
    """Do it; while the ledger is away, hold on to the message, and at last give it back to the broker unharmed."""
    until = time.monotonic() + HELD_S
    while True:
        try:
            here = runtime()
            return here.run(work(here))
        except LedgerUnavailable as away:
            log.warning("ledger_away", held_for_s=round(HELD_S - until + time.monotonic(), 1), trouble=str(away))
            if time.monotonic() >= until:
                raise Reject(str(away), requeue=True) from None  # its trouble is told in the line above
            time.sleep(_AGAIN_S)
        except OrderRefused as refused:
            log.info("order_refused", faults=[str(fault) for fault in refused.faults])
            raise _refusal(refused.faults) from None


def _submission(task_id: str | None, args: Sequence[object], kwargs: Mapping[str, object]) -> Submission:
    raw, producer = _call(args, kwargs, "order")
    return Submission(raw, producer, _uuid(task_id))


def _call(args: Sequence[object], kwargs: Mapping[str, object], what: str) -> tuple[Any, str]:
    """Read the call as `(order, producer="default")`, by position or by name."""
    given = {**dict(zip((what, "producer"), args, strict=False)), **kwargs}
    unknown = sorted(set(given) - {what, "producer"})
    too_many = len(args) > 2  # noqa: PLR2004  the two named here
    if unknown or too_many or what not in given:
        raise _refusal([Fault("message", f"is a call with {what} and, if need be, producer")])
    producer = given.get("producer", "default")
    if not isinstance(producer, str) or not 0 < len(producer) <= 100 or not producer.isprintable():  # noqa: PLR2004
        raise _refusal([Fault("producer", "must be a name of at most 100 printable characters")])
    return given[what], producer


def _decision(as_: object, why: object, by: object, carrier_order_id: object) -> Resolution:
    match as_, carrier_order_id:
        case "adopted", str(named):
            return Adopted(CarrierOrderId(_words("carrier_order_id", named)), _words("by", by), _words("why", why))
        case "send-again" | "sent_again", None:  # the second as 0.1.0 has it
            return SentAgain(_words("by", by), _words("why", why))
        case "failed", None:
            return WrittenOff(_words("by", by), _words("why", why))
        case _:
            raise ValueError("as_: must be adopted (and only then with a carrier_order_id), send-again or failed")


def _words(name: str, said: object) -> str:
    words = " ".join(said.split()) if isinstance(said, str) else ""
    if 0 < len(words) <= _WORDS_MAX and words.isprintable():  # what cannot be printed cannot be stored either
        return words
    raise ValueError(f"{name}: must be a printable text of at most {_WORDS_MAX} characters, and not empty")


def _lane(named: object) -> Lane:
    if named not in set(Lane):
        raise ValueError(f"lane: must be one of {', '.join(Lane)}")
    return Lane(str(named))


def _refusal(faults: Sequence[Fault]) -> ValueError:
    """Return what a producer sees: `ValueError`, because every Celery knows it, and every fault in its text."""
    return ValueError("order refused: " + "; ".join(str(fault) for fault in faults))


def _ticket(ticket: Ticket) -> dict[str, object]:
    return {
        "order_id": str(ticket.order_id),
        "key": ticket.key,
        "state": ticket.state.value,
        "new": ticket.new,
    }


def _refused(index: int, refusal: Refusal) -> dict[str, object]:
    faults = [{"field": fault.field, "rule": fault.rule} for fault in refusal.error.faults]
    return {"index": index, "key": refusal.key, "faults": faults}


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _order_id(text: object) -> OrderId:
    found = _uuid(text if isinstance(text, str) else None)
    if found is None:
        raise ValueError("order_id: must be a UUID")
    return OrderId(found)
