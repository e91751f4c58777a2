"""Writes OpenTelemetry traces: one order, one trace, from its producer's message to the notification.

The ledger keeps where the acceptance of an order stands in its trace (`Order.trace_parent`), and whatever any process
does for the order is a child of it: each conversation with a carrier with its requests, the end, each notification. No
span is open while an order waits. Conversations later than `IN_TRACE` get traces of their own, which link to the
acceptance: a thousand questions would make the order's trace unreadable. The end and the notifications stay in it.

Imports OpenTelemetry, which is an extra; `workers.tracing` imports this module only if the settings want traces.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import (
    TracerProvider as AnyProvider,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from number_orders.carriers.http.courier import Exchange
from number_orders.fulfilment.ports import Delivery, Notifier
from number_orders.fulfilment.webhooks.client import Answer
from number_orders.fulfilment.webhooks.delivery import WebhookSender
from number_orders.ledger.intake import NewOrder
from number_orders.ledger.orders import PendingStep
from number_orders.orders.model import Lane, Order, OrderId, State

IN_TRACE: Final = timedelta(days=1)
"""How long after its acceptance the conversations about an order are part of its trace."""

_EXPORT_S: Final = 3.0
"""The longest time for one export, tries included; so long a process that ends may wait for its collector."""
_HEADER: Final = "traceparent"
_FORMAT: Final = TraceContextTextMapPropagator()
_DOING: Final[Mapping[Lane, str]] = {Lane.SUBMIT: "submit to", Lane.ASK: "ask"}


@contextmanager
def exporting(url: str, *, now: Callable[[], datetime]) -> Iterator["OrderTraces"]:
    """Send traces to an OTLP/HTTP collector in the context. What it does not take is lost, and delays no order."""
    resource = Resource({"service.name": "number-orders", "process.pid": os.getpid()}).merge(
        OTELResourceDetector().detect()
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=_EXPORT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield OrderTraces(provider, now=now)
    finally:
        provider.shutdown()


@dataclass(frozen=True, slots=True)
class _Begun:
    """The acceptance of one order, whose span ends when the order is stored. Otherwise nobody sees it."""

    span: Span

    @property
    def trace_parent(self) -> str | None:
        return _trace_parent(self.span)


class OrderTraces:
    """Writes the spans of the orders of one process (`fulfilment.ports.Tracer` and `OrderMonitor`)."""

    def __init__(self, provider: AnyProvider, *, now: Callable[[], datetime]) -> None:
        """`now` is the ledger's time, so that the spans of all machines fit together."""
        self._tracer = provider.get_tracer("number_orders")
        self._now = now

    def begin(self, trace_parent: str | None) -> _Begun:
        """Begin the acceptance of one order, in its producer's trace or in a new one."""
        parent = _context(trace_parent)
        return _Begun(self._tracer.start_span("accept order", parent, SpanKind.CONSUMER, start_time=_ns(self._now())))

    def on_accepted(self, orders: Sequence[NewOrder], states: Mapping[OrderId, State]) -> None:
        """End the acceptance of orders that are stored."""
        for order in orders:
            if isinstance(order.acceptance, _Begun):
                span = order.acceptance.span
                span.set_attributes(
                    {
                        "number_orders.order_id": str(order.order_id),
                        "number_orders.key": order.request.key,
                        "number_orders.producer": order.producer,
                        "number_orders.carrier": order.request.carrier,
                        "number_orders.kind": order.request.kind.value,
                        "number_orders.quantity": order.request.wanted,
                        "number_orders.state": states[order.order_id].value,
                    }
                )
                span.end(_ns(self._now()))

    def on_moved(self, steps: Sequence[PendingStep]) -> None:
        """Write the ends of orders."""
        now = _ns(self._now())
        for step in steps:
            after = step.step.order
            if after.trace_parent and step.ends:
                span = self._tracer.start_span(
                    f"order {after.state.value}",
                    _context(after.trace_parent),
                    attributes={
                        **_about(after),
                        "number_orders.state": after.state.value,
                        "number_orders.reason": after.reason or "",
                        "number_orders.numbers_done": len(step.done),
                        "number_orders.seconds": (self._now() - after.accepted_at).total_seconds(),
                    },
                    start_time=now,
                )
                if after.state is State.FAILED:
                    span.set_status(Status(StatusCode.ERROR, after.reason))
                span.end(now)

    def on_attempt(self, order: Order, lane: Lane, *, took: timedelta, exchanges: Sequence[Exchange], end: str) -> None:
        """Write one conversation about an order that has ended now, with its requests."""
        if order.trace_parent is None:
            return
        now = self._now()
        accepted = _context(order.trace_parent)
        is_late = now - order.accepted_at > IN_TRACE
        span = self._tracer.start_span(
            f"{_DOING.get(lane, lane.value)} {order.request.carrier}",
            Context() if is_late else accepted,
            attributes={**_about(order), "number_orders.outcome": end},
            links=[Link(get_current_span(accepted).get_span_context())] if is_late else None,
            start_time=_ns(now - took),
        )
        for exchange in exchanges:
            self._write_request(span, exchange)
        span.end(_ns(now))

    def notifying(self, notifier: Notifier) -> Notifier:
        """Return a notifier whose deliveries are written into their orders' traces."""
        return _TracedNotifier(notifier, self)

    def sending(self, sender: WebhookSender) -> WebhookSender:
        """Return a sender whose attempts are written into their orders' traces."""
        return _TracedSender(sender, self)

    def start(self, name: str, trace_parent: str, kind: SpanKind, attributes: Mapping[str, str]) -> Span:
        """Start a span in an order's trace."""
        parent = _context(trace_parent)
        return self._tracer.start_span(name, parent, kind, dict(attributes), start_time=_ns(self._now()))

    def end(self, span: Span, trouble: str | None) -> None:
        """End a span now; `trouble` says what has failed."""
        if trouble:
            span.set_status(Status(StatusCode.ERROR, trouble))
        span.end(_ns(self._now()))

    def _write_request(self, conversation: Span, exchange: Exchange) -> None:
        if exchange.begun_at is None:  # it was not sent, for want of a token
            conversation.set_attribute("number_orders.no_token", exchange.trouble or "")
            return
        attributes: dict[str, str | int] = {"http.request.method": exchange.method, "url.path": exchange.target}
        if exchange.status is not None:
            attributes["http.response.status_code"] = exchange.status
        span = self._tracer.start_span(
            exchange.method,
            set_span_in_context(conversation, Context()),
            SpanKind.CLIENT,
            attributes,
            start_time=_ns(exchange.begun_at),
        )
        if exchange.status is None or exchange.status >= HTTPStatus.BAD_REQUEST:
            span.set_status(Status(StatusCode.ERROR, exchange.trouble))
        span.end(_ns(exchange.begun_at + exchange.elapsed))


class _TracedNotifier:
    """A notifier whose deliveries are written into traces. Each message has its span in its header."""

    def __init__(self, notifier: Notifier, traces: OrderTraces) -> None:
        self._notifier = notifier
        self._traces = traces

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        """Deliver, and write what became of each."""
        spans = [self._start(delivery) for delivery in deliveries]
        reasons = self._notifier.deliver(
            [
                replace(delivery, trace_parent=_trace_parent(span)) if span else delivery
                for delivery, span in zip(deliveries, spans, strict=True)
            ]
        )
        for span, reason in zip(spans, reasons, strict=True):
            if span:
                self._traces.end(span, reason)
        return reasons

    def _start(self, delivery: Delivery) -> Span | None:
        if delivery.trace_parent is None:
            return None
        about = {
            "number_orders.order_id": str(delivery.message.order_id),
            "number_orders.version": str(delivery.message.version),
            "messaging.destination.name": delivery.queue or "",
        }
        return self._traces.start("notify by task", delivery.trace_parent, SpanKind.PRODUCER, about)


class _TracedSender:
    """A sender of documents to URLs whose attempts are written into traces. Each request has its span in its header."""

    def __init__(self, sender: WebhookSender, traces: OrderTraces) -> None:
        self._sender = sender
        self._traces = traces

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send, and write what was answered. The path of the URL may be a secret, and is left out."""
        parent = headers.get(_HEADER)
        if parent is None:
            return await self._sender.post(url, headers, body)
        about = {"server.address": urlsplit(url).hostname or "", "messaging.message.id": headers.get("webhook-id", "")}
        span = self._traces.start("notify by URL", parent, SpanKind.CLIENT, about)
        trouble: str | None = "interrupted"
        try:
            answer = await self._sender.post(url, {**headers, _HEADER: _trace_parent(span) or parent}, body)
            span.set_attribute("http.response.status_code", answer.status)
            is_taken = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
            trouble = None if is_taken else f"HTTP {answer.status}"
        except Exception as fault:
            trouble = str(fault)
            raise
        finally:
            self._traces.end(span, trouble)
        return answer


def _about(order: Order) -> dict[str, str]:
    return {
        "number_orders.order_id": str(order.order_id),
        "number_orders.carrier": order.request.carrier,
        "number_orders.carrier_order_id": order.carrier_order_id or "",
    }


def _context(trace_parent: str | None) -> Context:
    """Return what is known of a span of another process. The span that is current in this process has no say."""
    return _FORMAT.extract({_HEADER: trace_parent}, Context()) if trace_parent else Context()


def _trace_parent(span: Span) -> str | None:
    headers: dict[str, str] = {}
    _FORMAT.inject(headers, set_span_in_context(span, Context()))
    return headers.get(_HEADER)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
