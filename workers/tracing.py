"""Whether this process writes traces. OpenTelemetry is imported only if it does."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Final, Protocol

from number_orders.fulfilment.ports import Notifier, OrderMonitor, Tracer
from number_orders.fulfilment.webhooks.delivery import WebhookSender

_NEEDED: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class Traces(OrderMonitor, Tracer, Protocol):
    """Writes the traces of orders, and of the notifications that others send."""

    def notifying(self, notifier: Notifier) -> Notifier:
        """Return a notifier whose deliveries are written into their orders' traces."""
        ...

    def sending(self, sender: WebhookSender) -> WebhookSender:
        """Return a sender whose attempts are written into their orders' traces."""
        ...


class NotInstalled(Exception):
    """The settings want traces, and OpenTelemetry is missing."""


def require_installed(url: str | None) -> None:
    """Check that traces can be written if the settings want any.

    Raises:
        NotInstalled: OpenTelemetry is not installed.
    """
    missing = [name for name in _NEEDED if url is not None and not _is_installed(name)]
    if missing:
        raise NotInstalled(
            f"NUMBER_ORDERS_TRACES_URL is set and {missing[0]} is missing: "
            "`pip install -r requirements-service.lock` installs it"
        )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


@contextmanager
def tracing(url: str | None, *, now: Callable[[], datetime]) -> Iterator[Traces | None]:
    """Write traces to the OTLP collector at `url` in the context; None without one. `now` is the ledger's time."""
    if url is None:
        yield None
        return
    exporting: AbstractContextManager[Traces] = importlib.import_module("workers.traces").exporting(url, now=now)
    with exporting as traces:
        yield traces
