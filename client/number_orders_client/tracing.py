"""The trace that a call belongs to, if the producer's application uses OpenTelemetry."""

import importlib
import sys
from collections.abc import Mapping
from typing import Any, Final

_API: Final = "opentelemetry.trace"
_FORMAT: Final = "opentelemetry.trace.propagation.tracecontext"


def trace_headers() -> Mapping[str, str]:
    """Return the header `traceparent` of the caller's current span (W3C Trace Context); nothing if it has none.

    An application that has not imported OpenTelemetry has no span, and nothing is imported for it.
    """
    if _API not in sys.modules:
        return {}
    propagator: Any = importlib.import_module(_FORMAT).TraceContextTextMapPropagator()
    headers: dict[str, str] = {}
    propagator.inject(headers)
    return {name: text for name, text in headers.items() if name == "traceparent"}
