"""Metrics of one worker and all its pool children: calls to carriers, orders, and notifications.

Each process counts in files of its own (prometheus_client's multiprocess mode), and the worker's main process adds them
up when it is asked (`workers.metrics_server`). `begin` comes first, before anything is counted.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from number_orders.carriers.http.courier import Exchange
from number_orders.fulfilment.ports import Delivery, Notifier
from number_orders.fulfilment.webhooks.client import Answer
from number_orders.fulfilment.webhooks.delivery import WebhookSender
from number_orders.ledger.intake import NewOrder
from number_orders.ledger.orders import PendingStep
from number_orders.orders.model import CarrierName, OrderId, State

_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_CALL_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ORDER_BUCKETS: Final = (1, 5, 15, 60, 300, 1800, 3600, 6 * 3600, 86_400, 3 * 86_400, 7 * 86_400)


def begin(folder: Path) -> None:
    """Count in files of this directory from now on, here and in every process that is forked from here."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ[_FOLDER] = str(folder)
    # Chosen by the environment when prometheus_client is imported, which Celery's plugin of Flower has done already.
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def exposition(folder: Path) -> bytes:
    """Return the sums over all processes in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class WorkerMetrics:
    """Counts in one process. Never raises, and waits for nothing."""

    def __init__(self) -> None:
        """Make the counters. `begin` has said where they are kept."""
        registry = CollectorRegistry()  # what is served is read from the files

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"number_orders_{name}", about, labels, registry=registry)

        self._calls = counter("carrier_calls", "Requests to carriers, by how they were answered.", "carrier", "outcome")
        self._call_seconds = Histogram(
            "number_orders_carrier_call_seconds",
            "From the first byte of a request to the last of its answer.",
            ("carrier",),
            buckets=_CALL_BUCKETS,
            registry=registry,
        )
        self._accepted = counter("orders_accepted", "Orders accepted.", "carrier", "kind")
        self._events = counter("order_events", "Events of orders: AnswerLost is a doubt.", "carrier", "event")
        self._ended = counter("orders_ended", "Orders that have ended.", "carrier", "kind", "state")
        self._order_seconds = Histogram(
            "number_orders_order_seconds",
            "From the acceptance of an order to its end.",
            ("carrier", "kind"),
            buckets=_ORDER_BUCKETS,
            registry=registry,
        )
        self._notifications = counter("notifications", "Documents sent to producers.", "channel", "outcome")

    def on_calls(self, carrier: CarrierName, exchanges: Sequence[Exchange]) -> None:
        """Count requests to a carrier (`fulfilment.carrier.CallMeter`)."""
        for exchange in exchanges:
            self._calls.labels(carrier, _outcome(exchange)).inc()
            self._call_seconds.labels(carrier).observe(exchange.elapsed / timedelta(seconds=1))

    def on_accepted(self, orders: Sequence[NewOrder], states: Mapping[OrderId, State]) -> None:
        """Count accepted orders (`fulfilment.ports.OrderMonitor`)."""
        for order in orders:
            self._accepted.labels(order.request.carrier, order.request.kind.value).inc()

    def on_moved(self, steps: Sequence[PendingStep]) -> None:
        """Count events and ends (`fulfilment.ports.OrderMonitor`)."""
        for step in steps:
            order = step.step.order
            carrier, kind = order.request.carrier, order.request.kind.value
            self._events.labels(carrier, type(step.step.event).__name__).inc()
            if step.ends and order.ended_at:
                self._ended.labels(carrier, kind, order.state.value).inc()
                self._order_seconds.labels(carrier, kind).observe((order.ended_at - order.accepted_at).total_seconds())

    def on_notified(self, channel: str, *, is_delivered: bool) -> None:
        """Count one attempt to tell a producer."""
        self._notifications.labels(channel, "delivered" if is_delivered else "failed").inc()


class CountingNotifier:
    """A notifier whose deliveries are counted."""

    def __init__(self, notifier: Notifier, metrics: WorkerMetrics) -> None:
        self._notifier = notifier
        self._metrics = metrics

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        """Deliver, and count."""
        reasons = self._notifier.deliver(deliveries)
        for reason in reasons:
            self._metrics.on_notified("task", is_delivered=reason is None)
        return reasons


class CountingSender:
    """A sender of documents to URLs whose attempts are counted."""

    def __init__(self, sender: WebhookSender, metrics: WorkerMetrics) -> None:
        self._sender = sender
        self._metrics = metrics

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send, and count. Only an answer of the 2xx kind is a delivery."""
        try:
            answer = await self._sender.post(url, headers, body)
        except Exception:
            self._metrics.on_notified("url", is_delivered=False)
            raise
        self._metrics.on_notified("url", is_delivered=HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES)
        return answer


def _outcome(exchange: Exchange) -> str:
    match exchange.status:
        case None:
            return "no_answer"
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "429"
        case status:
            return f"{status // 100}xx"
