"""Sends bells and order documents through a broker that may be away.

Both fail fast. A lost bell is rung again by the sweep; a document that was not delivered is still due in the ledger.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from config.queues import BELL_EXPIRES_S, BELLS
from number_orders.fulfilment.ports import Delivery
from number_orders.orders.model import CarrierName, Lane

log = structlog.get_logger(__name__)

_RUNG_MS: Final = 2000
"""How long a bell counts as rung. Shorter than a bell message lives, so a lost one costs two seconds at most."""
_SILENT_S: Final = 1.0
"""How long not to try after a failure: the sweep rings meanwhile, and `orders.submit` never waits for a dead broker."""

_BROKER_FAULTS: Final = (OperationalError, redis.RedisError, OSError)


class CeleryBell:
    """Rings by sending `orders.work`, at most one message a lane until a worker resets the bell."""

    def __init__(self, app: Celery, marks: redis.Redis | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`marks` keeps one key per lane that was rung. With None, on other brokers, every ring sends a message."""
        self._app = app
        self._marks = marks
        self._clock = clock
        self._silent_until = 0.0

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        """Ring, or give up quickly. Never raises."""
        for carrier, lane in lanes:
            if self._clock() < self._silent_until:
                return
            try:
                self._ring(carrier, lane)
            except _BROKER_FAULTS as fault:
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
        if self._marks is not None and not self._marks.set(_mark(carrier, lane), 1, nx=True, px=_RUNG_MS):
            return
        self._app.send_task(
            "orders.work",
            kwargs={"carrier": carrier, "lane": lane.value},
            queue=BELLS[lane.value],
            expires=BELL_EXPIRES_S,
            ignore_result=True,
            retry=False,
        )


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
            self._app.send_task(
                delivery.task,
                args=[message.document],
                queue=delivery.queue,
                # The same document has the same task id however often it is delivered; the id starts with the order's.
                task_id=f"{message.order_id}-told-{message.version}",
                # Flower shows which order and its state, but no phone numbers.
                argsrepr=f"(order {message.order_id} is {message.document['state']},)",
                ignore_result=True,
                retry=False,
            )
        except Exception as fault:  # noqa: BLE001  one bad delivery must not stop the others
            return fault
        return None


def _is_away(fault: Exception) -> bool:
    """Tell whether the next delivery would fail too. A key that is no queue concerns one delivery alone."""
    return isinstance(fault, _BROKER_FAULTS) and not isinstance(fault.__cause__ or fault, redis.ResponseError)


def _mark(carrier: CarrierName, lane: Lane) -> str:
    return f"number-orders:rung:{carrier}:{lane.value}"
