"""A call carries the trace of the span that is current in the producer's application, and needs no OpenTelemetry."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from number_orders_client import AsyncClient
from number_orders_client.tracing import trace_headers

PARENT = SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, is_remote=False, trace_flags=TraceFlags(1))


def test_current_span_is_named() -> None:
    with use_span(NonRecordingSpan(PARENT)):
        assert trace_headers() == {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


def test_without_a_span_there_is_no_header() -> None:
    assert not trace_headers()


def test_nothing_is_imported_for_an_application_without_opentelemetry() -> None:
    script = (
        "import sys; from number_orders_client.tracing import trace_headers; assert trace_headers() == {};"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_calls_in_threads_have_the_span_of_their_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """`AsyncClient` over the queue."""

    async def ask() -> Any:
        async with AsyncClient("redis://127.0.0.1:1/0") as client:
            way: Any = client._way
            monkeypatch.setattr(way._way, "find", lambda _: trace_headers())
            with use_span(NonRecordingSpan(PARENT)):
                return await way.find("crm-1")

    assert asyncio.run(ask()) == {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
