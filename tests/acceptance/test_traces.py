"""One order, one trace: from the producer's span through receiver, worker, carrier and waits to the notification."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from number_orders.cli.stack.processes import free_port
from number_orders_client import Client
from tests.acceptance.conftest import MakeOrder
from tests.acceptance.test_webhooks import add_secret, settings
from tests.hook_receiver import running_receiver
from tests.processes import Processes, eventually

pytestmark = pytest.mark.acceptance

WHOLE: Final = {
    "accept order",
    "submit to bandwidth",
    "POST",
    "ask bandwidth",
    "GET",
    "order COMPLETED",
    "notify by URL",
}


@dataclass(frozen=True, slots=True)
class Exported:
    """One span, and the process that has written it."""

    pid: int
    span: Any
    attributes: Mapping[str, str]


@dataclass
class Collector:
    """An OTLP collector on loopback."""

    port: int = 0
    spans: list[Exported] = field(default_factory=list)

    def of_trace(self, trace_id: int) -> Sequence[Exported]:
        return [one for one in self.spans if int.from_bytes(one.span.trace_id) == trace_id]

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            process = {one.key: one.value for one in resource.resource.attributes}
            assert process["service.name"].string_value == "number-orders"
            self.spans += [
                Exported(
                    process["process.pid"].int_value,
                    span,
                    {one.key: one.value.string_value for one in span.attributes},
                )
                for scope in resource.scope_spans
                for span in scope.spans
            ]


@contextmanager
def running_collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def producers_span(trace_id: int) -> NonRecordingSpan:
    return NonRecordingSpan(SpanContext(trace_id, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(1)))


def test_order_is_one_trace_across_processes(processes: Processes, broker_url: str, an_order: MakeOrder) -> None:
    """One order comes over HTTP and one over the queue, each sent within a span of its producer's application."""
    by_http, by_queue = 0x0AF7651916CD43DD8448EB211C80319C, 0x1AF7651916CD43DD8448EB211C80319C
    port = free_port()
    with running_collector() as collector, running_receiver() as hooks:
        quick = {"OTEL_BSP_SCHEDULE_DELAY": "200", "NUMBER_ORDERS_TRACES_URL": f"http://127.0.0.1:{collector.port}"}
        env = settings(hooks) | quick
        for name in ("crm", "default"):
            add_secret(processes, name)
        processes.beat()
        worker = processes.worker(children=2, env=env)
        receiver = processes.receiver(port, env=env)
        order = an_order(notify={"url": hooks.url("/hooks"), "on": ["COMPLETED"]})
        with Client(f"http://127.0.0.1:{port}", token="crm-token") as client, use_span(producers_span(by_http)):
            client.submit(order)
        with Client(broker_url) as client, use_span(producers_span(by_queue)):
            client.submit(order)
        for _ in eventually():
            if all({one.span.name for one in collector.of_trace(trace)} >= WHOLE for trace in (by_http, by_queue)):
                break
        for process in (worker, receiver):
            assert process.stop() == 0
        for trace in (by_http, by_queue):
            check_trace(collector.of_trace(trace))
        accepted_by = {one.pid for one in collector.spans if one.span.name == "accept order"}
        told_by = {one.pid for one in collector.spans if one.span.name == "notify by URL"}
        assert receiver.popen.pid in accepted_by
        assert receiver.popen.pid not in told_by
        heard = {request.headers["traceparent"].split("-")[1]: request for request in hooks.received}
        assert set(heard) == {f"{by_http:032x}", f"{by_queue:032x}"}


def check_trace(spans: Sequence[Exported]) -> None:
    """The producer's span is the parent of the acceptance, and everything else hangs on that."""
    (accepted,) = (one for one in spans if one.span.name == "accept order")
    assert accepted.span.parent_span_id == 0xB7AD6B7169203331.to_bytes(8)
    parents = {one.span.span_id: one.span.parent_span_id for one in spans}
    for one in spans:
        root = one.span.span_id
        while parents[root] in parents:
            root = parents[root]
        assert root == accepted.span.span_id, one
    ids = {one.attributes["number_orders.order_id"] for one in spans if "number_orders.order_id" in one.attributes}
    assert len(ids) == 1
