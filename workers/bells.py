"""Sends bells and order documents through a broker that may be away.

Both fail fast. A lost bell is rung again by the sweep; a document that was not delivered is still due in the ledger. A
connection that was closed while it was idle, as by a restart of the broker, is replaced and costs neither.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from config.queues import BELLS, BELLS_WAITING_MAX, OUR_KEYS, WAKE_UP_LIVES_S
from number_orders.fulfilment.ports import Delivery
from number_orders.orders.model import CarrierName, Lane

log = structlog.get_logger(__name__)

_RUNG_MS: Final = 2000
"""How long a bell counts as rung. A lost one costs two seconds at most."""
_SILENT_S: Final = 1.0
"""How long not to try after a failure: the sweep rings meanwhile, and `orders.submit` never waits for a dead broker."""

_NEVER_EXPIRES: Final = -1  # PTTL

_BROKER_FAULTS: Final = (OperationalError, redis.RedisError, OSError)
_OF_ONE_KEY: Final = ("WRONGTYPE", "NOPERM", "No permissions")
"""Redis' words for a key that holds something else, and for one that we may not write."""
_SLOW_FAULTS: Final = (TimeoutError, redis.TimeoutError)


class CeleryBell:
    """Rings by sending `orders.work`, at most one message a lane until a worker resets the bell."""

    def __init__(self, app: Celery, marks: redis.Redis | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`marks` keeps one key per lane that was rung. With None, on other brokers, every ring sends a message."""
        self._app = app
        self._marks = marks
        self._clock = clock
        self._silent_until = 0.0

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        """Ring, or give up quickly. Never raises. A lane whose queue is unusable does not keep others from ringing."""
        for carrier, lane in lanes:
            if self._clock() < self._silent_until:
                return
            try:
                self._ring(carrier, lane)
            except _BROKER_FAULTS as fault:
                if _is_away(fault):
                    self._silent_until = self._clock() + _SILENT_S
                log.warning("bell_silent", carrier=carrier, lane=lane.value, trouble=repr(fault))

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        """Forget that the bell was rung, so that work due from now on rings it again."""
        if self._marks is not None:
            with contextlib.suppress(redis.RedisError):  # the mark expires anyway
                self._marks.delete(_mark(carrier, lane))

    def mute(self, carrier: CarrierName, lane: Lane) -> None:
        """Ring nothing for the next two seconds: a worker is claiming what falls due on this lane."""
        if self._marks is not None and self._clock() >= self._silent_until:
            try:
                self._marks.set(_mark(carrier, lane), 1, px=_RUNG_MS)
            except _BROKER_FAULTS:  # the only cost is superfluous bells
                self._silent_until = self._clock() + _SILENT_S

    def _ring(self, carrier: CarrierName, lane: Lane) -> None:
        queue = BELLS[lane.value]
        if self._marks is not None and not _is_first(self._marks, _mark(carrier, lane), queue):
            return
        _send_at_once(
            self._app,
            "orders.work",
            kwargs={"carrier": carrier, "lane": lane.value},
            queue=queue,
            expiration=WAKE_UP_LIVES_S,
        )


def _is_first(marks: redis.Redis, mark: str, queue: str) -> bool:
    """Mark a bell as rung; return whether it was not, and whether its queue has room for one.

    A mark that never expires is not ours: it is replaced, or the lane would never be rung again.
    """
    with marks.pipeline(transaction=False) as pipe:
        pipe.set(mark, 1, nx=True, px=_RUNG_MS)
        pipe.pttl(mark)
        pipe.llen(queue)
        is_set, left_ms, waiting = pipe.execute(raise_on_error=False)
    if isinstance(is_set, Exception):
        raise is_set
    if not is_set and left_ms == _NEVER_EXPIRES:
        is_set = marks.set(mark, 1, px=_RUNG_MS)
    return bool(is_set) and not (isinstance(waiting, int) and waiting >= BELLS_WAITING_MAX)


class CeleryNotifier:
    """Delivers order documents as Celery messages to the task and queue that the producer named."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        """Deliver in order; return for each delivery None, or why it failed. Never raises.

        A broker that is away fails all that follow. A delivery that the broker refuses fails only the later documents
        of its order, because they must not overtake it.
        """
        reasons: list[str | None] = []
        failed_orders: dict[object, str] = {}
        broker_away: str | None = None
        for delivery in deliveries:
            order_id = delivery.message.order_id
            reason = broker_away or failed_orders.get(order_id)
            if reason is None and (fault := self._send(delivery)):
                reason = failed_orders[order_id] = f"the broker did not take it: {fault}"
                broker_away = reason if _is_away(fault) else None
            reasons.append(reason)
        return reasons

    def _send(self, delivery: Delivery) -> Exception | None:
        """Send one document; return what went wrong, if anything."""
        message = delivery.message
        try:
            _send_at_once(
                self._app,
                delivery.task,
                args=[message.document],
                queue=delivery.queue,
                # The same document has the same task id however often it is delivered; the id starts with the order's.
                task_id=f"{message.order_id}-told-{message.version}",
                headers={"traceparent": delivery.trace_parent} if delivery.trace_parent else None,
                # Flower shows which order and its state, but no phone numbers.
                argsrepr=f"(order {message.order_id} is {message.document['state']},)",
            )
        except Exception as fault:  # noqa: BLE001  one bad delivery must not stop the others
            return fault
        return None


def _send_at_once(app: Celery, task: str, **options: Any) -> None:
    """Send a task message without waiting for a broker that is away.

    After a restart of the broker the connections from before are closed, and the first message on each would be lost:
    it is sent once more, on a new connection. A broker that does not answer in time is not asked twice.
    """
    try:
        app.send_task(task, ignore_result=True, retry=False, **options)
    except _BROKER_FAULTS as fault:
        if not _is_away(fault) or isinstance(fault.__cause__ or fault, _SLOW_FAULTS):
            raise
        app.send_task(task, ignore_result=True, retry=False, **options)


def _is_away(fault: Exception) -> bool:
    """Tell whether the next message would fail too. A key that is no queue, or not ours, concerns one queue alone."""
    cause = fault.__cause__ or fault
    is_of_one_queue = isinstance(cause, redis.ResponseError) and any(word in str(cause) for word in _OF_ONE_KEY)
    return isinstance(fault, _BROKER_FAULTS) and not is_of_one_queue


def _mark(carrier: CarrierName, lane: Lane) -> str:
    return f"{OUR_KEYS}rung:{carrier}:{lane.value}"
