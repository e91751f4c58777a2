"""Rings bells and carries documents, through a broker that may be away.

Both fail fast: a bell that stays silent is rung again by the sweep, a document that was not handed over is still
owed by the ledger.
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
"""How long a bell counts as rung. Shorter than a bell lives, so that one lost costs two seconds at the most."""
_SILENT_S: Final = 1.0
"""After a failure, how long not to try: the sweep rings meanwhile, and submissions do not wait for a dead broker."""

_BROKER_TROUBLE: Final = (OperationalError, redis.RedisError, OSError)


class CeleryBell:
    """Rings by sending `orders.work`; one bell is enough until somebody has heard it."""

    def __init__(self, app: Celery, rung: redis.Redis | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`rung` remembers what was rung and not heard yet; None, on brokers that cannot, rings every time."""
        self._app = app
        self._rung = rung
        self._clock = clock
        self._silent_until = 0.0

    def ring(self, lanes: Iterable[tuple[CarrierName, Lane]]) -> None:
        """Ring, or give up quickly. Never raises."""
        for carrier, lane in lanes:
            if self._clock() < self._silent_until:
                return
            try:
                self._ring(carrier, lane)
            except _BROKER_TROUBLE as trouble:
                self._silent_until = self._clock() + _SILENT_S
                log.warning("bell_silent", carrier=carrier, lane=lane.value, trouble=repr(trouble))

    def reset(self, carrier: CarrierName, lane: Lane) -> None:
        """Note that a worker is about to look, so that what comes in from now on is rung for again."""
        if self._rung is not None:
            with contextlib.suppress(redis.RedisError):  # it expires by itself
                self._rung.delete(_mark(carrier, lane))

    def mute(self, carrier: CarrierName, lane: Lane) -> None:
        """Note that a worker looks all the while: for the next two seconds nobody needs to ring."""
        if self._rung is not None and self._clock() >= self._silent_until:
            try:
                self._rung.set(_mark(carrier, lane), 1, px=_RUNG_MS)
            except _BROKER_TROUBLE:  # then there will be bells that say nothing
                self._silent_until = self._clock() + _SILENT_S

    def _ring(self, carrier: CarrierName, lane: Lane) -> None:
        if self._rung is not None and not self._rung.set(_mark(carrier, lane), 1, nx=True, px=_RUNG_MS):
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
    """Hands documents over as Celery messages to the task and queue that the producer named."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        """Hand over in order. A broker that is away is away for all of them; an delivery that it refuses is not.

        After the first failure of an order its later documents wait, or they would overtake.
        """
        troubles: list[str | None] = []
        stuck: dict[object, str] = {}
        away: str | None = None
        for delivery in deliveries:
            order_id = delivery.message.order_id
            why = away or stuck.get(order_id)
            if why is None and (trouble := self._trouble_with(delivery)):
                why = stuck[order_id] = f"the broker did not take it: {trouble}"
                away = why if _is_away(trouble) else None
            troubles.append(why)
        return troubles

    def _trouble_with(self, delivery: Delivery) -> Exception | None:
        """Hand one document over, or return why that failed."""
        telling = delivery.message
        try:
            self._app.send_task(
                delivery.task,
                args=[telling.document],
                queue=delivery.queue,
                # The same document has the same id however often it is handed over, and the order's id at its front.
                task_id=f"{telling.order_id}-told-{telling.version}",
                # What Flower shows: which order and how it ended, and nobody's numbers.
                argsrepr=f"(order {telling.order_id} is {telling.document['state']},)",
                ignore_result=True,
                retry=False,
            )
        except Exception as trouble:  # noqa: BLE001  whatever is wrong with one delivery, the others are told
            return trouble
        return None


def _is_away(trouble: Exception) -> bool:
    """Tell whether the next would fail too: a name that is no queue at the broker is one delivery's own trouble."""
    return isinstance(trouble, _BROKER_TROUBLE) and not isinstance(trouble.__cause__ or trouble, redis.ResponseError)


def _mark(carrier: CarrierName, lane: Lane) -> str:
    return f"number-orders:rung:{carrier}:{lane.value}"
