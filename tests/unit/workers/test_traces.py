"""One order, one trace: what every process writes is a child of the order's acceptance."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from number_orders.carriers.contract import Purpose
from number_orders.carriers.http.courier import Exchange
from number_orders.fulfilment.ports import Delivery
from number_orders.fulfilment.webhooks.client import Answer, NotDelivered
from number_orders.ledger.intake import NewOrder
from number_orders.ledger.orders import PendingStep
from number_orders.ledger.outbox import OutboxMessage
from number_orders.orders import events
from number_orders.orders.lifecycle import advance
from number_orders.orders.model import CarrierName, Criteria, Kind, Lane, Order, OrderId, OrderRequest, State
from number_orders.orders.policy import CarrierPolicy
from tests.unit.orders.lifecycle_examples import NOON
from workers.traces import IN_TRACE, OrderTraces, exporting

TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
PRODUCERS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ORDER_ID = OrderId(UUID("0191f3a0-0000-7000-8000-000000000001"))
REQUEST = OrderRequest(
    "crm-1", CarrierName("bandwidth"), Kind.NEW_NUMBERS, criteria=Criteria(npa="919"), quantity=3, notes="Jane Doe"
)
SECOND = timedelta(seconds=1)


class Traced:
    """What one process writes."""

    def __init__(self) -> None:
        self.now = NOON
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.traces = OrderTraces(provider, now=lambda: self.now)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def accept(self, trace_parent: str | None = PRODUCERS) -> Order:
        begun = self.traces.begin(trace_parent)
        self.now += SECOND
        new = NewOrder(ORDER_ID, "crm", REQUEST, "", "", acceptance=begun)
        self.traces.on_accepted([new], {ORDER_ID: State.ACCEPTED})
        return Order(ORDER_ID, REQUEST, accepted_at=NOON, trace_parent=begun.trace_parent)


@pytest.fixture
def traced() -> Traced:
    return Traced()


def moment(ns: int | None) -> datetime:
    assert ns is not None
    return datetime.fromtimestamp(ns / 1e9, NOON.tzinfo)


def an_exchange(**changes: object) -> Exchange:
    sent = Exchange("POST", "/orders", Purpose.COMMIT, b"", 201, b"", SECOND, begun_at=NOON)
    return replace(sent, **changes)  # type: ignore[arg-type]


def test_acceptance_is_part_of_its_producers_trace(traced: Traced) -> None:
    order = traced.accept()
    (span,) = traced.spans
    assert span.context is not None
    assert span.parent is not None
    assert span.attributes is not None
    assert (span.context.trace_id, span.parent.span_id) == (TRACE_ID, 0x00F067AA0BA902B7)
    assert order.trace_parent == f"00-{TRACE_ID:032x}-{span.context.span_id:016x}-01"
    assert (moment(span.start_time), moment(span.end_time)) == (NOON, NOON + SECOND)
    assert span.attributes["number_orders.order_id"] == str(ORDER_ID)
    assert "Jane" not in span.to_json()


def test_producer_without_a_trace_gets_a_new_one_for_each_order(traced: Traced) -> None:
    first, second = traced.accept(None), traced.accept(None)
    assert first.trace_parent
    assert second.trace_parent
    assert first.trace_parent.split("-")[1] != second.trace_parent.split("-")[1]


def test_order_that_is_not_stored_is_not_shown(traced: Traced) -> None:
    traced.traces.begin(PRODUCERS)
    assert not traced.spans


def test_conversation_and_its_requests_are_children_of_the_acceptance(traced: Traced) -> None:
    order = traced.accept()
    exchanges = [an_exchange(), an_exchange(status=None, trouble="no answer", begun_at=NOON + SECOND)]
    traced.now = NOON + 3 * SECOND
    traced.traces.on_attempt(order, Lane.SUBMIT, took=2 * SECOND, exchanges=exchanges, end="AnswerLost")
    accepted, sent, lost, conversation = traced.spans
    assert accepted.context
    assert conversation.context
    assert conversation.parent
    assert conversation.attributes
    assert conversation.name == "submit to bandwidth"
    assert conversation.attributes["number_orders.outcome"] == "AnswerLost"
    assert conversation.parent.span_id == accepted.context.span_id
    assert {one.parent.span_id for one in (sent, lost) if one.parent} == {conversation.context.span_id}
    assert {one.context.trace_id for one in traced.spans if one.context} == {TRACE_ID}
    assert (moment(lost.start_time), moment(lost.end_time)) == (NOON + SECOND, NOON + 2 * SECOND)
    assert (sent.status.status_code, lost.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert (lost.status.description, conversation.start_time) == ("no answer", accepted.end_time)


def test_late_conversation_has_a_trace_of_its_own_which_links_to_the_order(traced: Traced) -> None:
    order = traced.accept()
    traced.now = NOON + IN_TRACE + SECOND
    traced.traces.on_attempt(order, Lane.ASK, took=SECOND, exchanges=[an_exchange()], end="Later: None")
    accepted, request, question = traced.spans
    assert accepted.context
    assert question.context
    assert request.context
    assert question.context.trace_id == request.context.trace_id != TRACE_ID
    assert [link.context.span_id for link in question.links] == [accepted.context.span_id]
    assert question.parent is None


def test_end_and_notification_stay_in_the_trace_however_late(traced: Traced) -> None:
    order = replace(traced.accept(), state=State.SUBMITTING, sends=1)
    traced.now = NOON + 3 * IN_TRACE
    step = advance(order, events.Refused("no such area code"), now=traced.now, policy=CarrierPolicy())
    traced.traces.on_moved([PendingStep(order, step, done=())])
    end = traced.spans[-1]
    assert end.context
    assert end.attributes
    assert (end.name, end.context.trace_id) == ("order FAILED", TRACE_ID)
    assert end.attributes["number_orders.seconds"] == (3 * IN_TRACE).total_seconds()
    assert end.status.description == step.order.reason


def test_order_from_before_has_no_spans(traced: Traced) -> None:
    order = Order(ORDER_ID, REQUEST, accepted_at=NOON)
    traced.traces.on_attempt(order, Lane.ASK, took=SECOND, exchanges=[an_exchange()], end="StillOpen")
    assert not traced.spans


class Broker:
    """Takes the first message of two."""

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        self.sent = deliveries
        return [None, "the broker did not take it"][: len(deliveries)]


def test_message_to_a_task_carries_the_span_of_its_delivery(traced: Traced) -> None:
    order, broker = traced.accept(), Broker()
    messages = [OutboxMessage(ORDER_ID, version, {}) for version in (3, 4)]
    deliveries = [Delivery(message, "crm.told", "crm", order.trace_parent) for message in messages]
    assert traced.traces.notifying(broker).deliver(deliveries) == [None, "the broker did not take it"]
    _, told, failed = traced.spans
    assert told.context
    assert failed.context
    assert [sent.trace_parent for sent in broker.sent] == [
        f"00-{TRACE_ID:032x}-{span.context.span_id:016x}-01" for span in (told, failed) if span.context
    ]
    assert (told.status.status_code, failed.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)


def test_message_of_an_order_without_a_trace_carries_none(traced: Traced) -> None:
    broker = Broker()
    traced.traces.notifying(broker).deliver([Delivery(OutboxMessage(ORDER_ID, 3, {}), "crm.told", "crm")])
    assert broker.sent[0].trace_parent is None
    assert not traced.spans


class Web:
    """Answers a request as it is told."""

    def __init__(self, answer: Answer | NotDelivered) -> None:
        self.answer = answer
        self.headers: dict[str, str] = {}

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        self.headers = headers
        if isinstance(self.answer, NotDelivered):
            raise self.answer
        return self.answer


def test_request_to_a_url_carries_the_span_of_its_attempt(traced: Traced) -> None:
    order, web = traced.accept(), Web(Answer(HTTPStatus.BAD_GATEWAY, {}))
    assert order.trace_parent is not None
    headers = {"webhook-id": "msg_1", "traceparent": order.trace_parent}
    asyncio.run(traced.traces.sending(web).post("https://crm.example/hooks/secret", headers, b""))
    _, attempt = traced.spans
    assert attempt.context
    assert web.headers == {
        "webhook-id": "msg_1",
        "traceparent": f"00-{TRACE_ID:032x}-{attempt.context.span_id:016x}-01",
    }
    assert (attempt.status.description, "secret" in attempt.to_json()) == ("HTTP 502", False)


def test_attempt_without_an_answer_says_why(traced: Traced) -> None:
    order, web = traced.accept(), Web(NotDelivered("connection refused"))
    assert order.trace_parent is not None
    with pytest.raises(NotDelivered):
        asyncio.run(traced.traces.sending(web).post("https://crm.example/", {"traceparent": order.trace_parent}, b""))
    assert traced.spans[-1].status.description == "connection refused"


def test_dead_collector_holds_up_no_process_that_ends() -> None:
    """It listens nowhere. The rest of the spans is tried for seconds, and is lost."""
    began = time.monotonic()
    with exporting("http://127.0.0.1:9", now=lambda: NOON) as traces:
        new = NewOrder(ORDER_ID, "crm", REQUEST, "", "", acceptance=traces.begin(None))
        traces.on_accepted([new], {ORDER_ID: State.ACCEPTED})
    assert time.monotonic() - began < 45
