"""Whole processes on real engines, with the practice carriers in a thread of the test.

A test has a backend to itself unless its module says otherwise: `def backend(shared_backend)` makes one backend, with a
worker and a beat, serve all tests of a module. `ledger_url`, `broker_url` and `carrier` are always the backend's.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from number_orders.embedded.engines import Engines
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox
from tests.conftest import empty_broker, fresh_ledger
from tests.processes import Processes

MakeOrder = Callable[..., dict[str, Any]]
"""Orders as a producer writes them: `make(key, **changes)`; what is None is left out."""

_OPERATORS_TASKS = {"orders.park", "orders.resolve", "orders.retry"}

QUICK = {
    # Far longer than the carrier takes on a busy machine, and short enough to wait for where it never answers.
    "TIMEOUT_S": "4",
    "CONNECT_TIMEOUT_S": "4",
    "READ_TIMEOUT_S": "4",
    "POOL_TIMEOUT_S": "4",
    "ASK_FIRST_S": "0.2",
    "ASK_FACTOR": "1.3",
    "ASK_MAX_S": "1",
    "SLOW_ASK_MAX_S": "1",
    "DOUBT_FIRST_S": "0.2",
    "DOUBT_PATIENCE_S": "1.5",
    "DOUBT_ASKS": "3",
    "SETTLE_S": "1",
    "SETTLE_LOOKS": "2",
}


@dataclass(frozen=True, slots=True)
class Backend:
    """A ledger, a broker and the carriers, to run processes on."""

    ledger_url: str
    broker_url: str
    carrier: SandboxControl


@contextmanager
def empty_backend(engines: Engines) -> Iterator[Backend]:
    """A backend in which nothing has happened yet; when it is left, every promise must hold in its ledger."""
    with fresh_ledger(engines) as ledger_url, quick_carrier() as carrier:
        yield Backend(ledger_url, empty_broker(engines), carrier)


@contextmanager
def quick_carrier() -> Iterator[SandboxControl]:
    """Carriers that need less than half a second for an order, people included."""
    with running_sandbox() as control:
        control.behave(
            processing_s=[0.05, 0.4],
            backorder_s=1,
            aging_s=0,
            latency_s={"order_create": [0.005, 0.02]},
            cm_review_s=[0.1, 0.4],
        )
        yield control


@pytest.fixture
def backend(engines: Engines, ledger_template: str) -> Iterator[Backend]:
    """A backend of this test's own, in which nothing runs yet."""
    with empty_backend(engines) as empty:
        yield empty


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """What the processes of a shared backend are told beyond what all are told."""
    return {}


@pytest.fixture(scope="module")
def shared_backend(
    engines: Engines, ledger_template: str, tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]
) -> Iterator[Backend]:
    """One backend for a module, as one installation has; a worker and a beat run in it."""
    with empty_backend(engines) as shared:
        env = environment(shared.ledger_url, shared.broker_url, shared.carrier) | settings
        with Processes(tmp_path_factory.mktemp("log"), env) as running:
            running.beat()
            running.worker()
            yield shared


@pytest.fixture
def ledger_url(backend: Backend) -> str:
    return backend.ledger_url


@pytest.fixture
def broker_url(backend: Backend) -> str:
    return backend.broker_url


@pytest.fixture
def carrier(backend: Backend) -> Iterator[SandboxControl]:
    """The carriers, flawless; whatever a test makes of them is undone after it."""
    usual = backend.carrier.behaviour()
    yield backend.carrier
    backend.carrier.clear_faults()
    backend.carrier.behave(**usual)


@pytest.fixture
def env(ledger_url: str, broker_url: str, carrier: SandboxControl) -> dict[str, str]:
    """The environment in which this test's processes run."""
    return environment(ledger_url, broker_url, carrier)


def environment(ledger_url: str, broker_url: str, carrier: SandboxControl) -> dict[str, str]:
    """Settings for processes on these engines and Bandwidth; of the other carriers they know the address alone."""
    bandwidth = {
        "BASE_URL": carrier.url,
        "ACCOUNT_ID": "9900000",
        "SITE_ID": "743",
        "CLIENT_ID": "sandbox-client",
        "CLIENT_SECRET": "sandbox-secret",
        **QUICK,
    }
    return {
        "NUMBER_ORDERS_DATABASE_URL": ledger_url,
        "NUMBER_ORDERS_BROKER_URL": broker_url,
        "NUMBER_ORDERS_LOG_LEVEL": "INFO",
        "NUMBER_ORDERS_NUMBERS_PER_HOUR": "1000000",
        "NUMBER_ORDERS_OPERATORS_QUEUE": "true",
        "NUMBER_ORDERS_CM__BASE_URL": carrier.url,
        "NUMBER_ORDERS_SWIFT__BASE_URL": carrier.url,
        **{f"NUMBER_ORDERS_BANDWIDTH__{name}": value for name, value in bandwidth.items()},
    }


@pytest.fixture
def processes(tmp_path: Path, env: dict[str, str]) -> Iterator[Processes]:
    """Start processes here; none outlives the test."""
    with Processes(tmp_path / "log", env) as running:
        yield running


@dataclass
class Producer:
    """An application that knows Celery and the tasks' names, and nothing else of us."""

    app: Celery

    def submit(self, order: dict[str, Any], *, order_id: str | None = None, wait_s: float = 120) -> dict[str, Any]:
        """Send one order and wait for its ticket."""
        sent = self.app.send_task(
            "orders.submit", kwargs={"order": order}, queue="orders", task_id=order_id or str(uuid4())
        )
        ticket: dict[str, Any] = sent.get(timeout=wait_s)
        return ticket

    def call(self, task: str, *args: Any, wait_s: float = 120) -> Any:
        """Call a task and wait for its result."""
        queue = "orders.operators" if task in _OPERATORS_TASKS else "orders"
        return self.app.send_task(task, args=args, queue=queue).get(timeout=wait_s)

    def await_end(self, order_id: str, within_s: float = 240) -> dict[str, Any]:
        """Ask until the order is at its end, and return its document."""
        until = time.monotonic() + within_s
        while True:
            document: dict[str, Any] = self.call("orders.get", order_id)
            if document["final"]:
                return document
            assert time.monotonic() < until, f"not at its end: {document}"
            time.sleep(0.1)


@pytest.fixture
def producer(broker_url: str) -> Iterator[Producer]:
    """A producer of orders."""
    with producing(broker_url) as orders:
        yield orders


@contextmanager
def producing(broker_url: str) -> Iterator[Producer]:
    """A producer that leaves nothing open behind it."""
    app = Celery("producer", broker=broker_url, backend=broker_url, set_as_current=False)
    yield Producer(app)
    gc.collect()  # results that nobody waits for any more speak to the broker once more, while it is there
    backend: Any = app.backend  # the stubs know the base class only
    backend.result_consumer.stop()
    backend.client.connection_pool.disconnect()
    app.close()


@pytest.fixture
def an_order() -> MakeOrder:
    """Make orders: one number from an area code with plenty of them, unless told otherwise."""

    def make(key: str | None = None, **changes: Any) -> dict[str, Any]:
        order: dict[str, Any] = {
            "key": key or f"crm-{os.urandom(4).hex()}",
            "carrier": "bandwidth",
            "kind": "new_numbers",
            "criteria": {"npa": "919"},
            "quantity": 1,
        }
        order.update(changes)
        return {name: value for name, value in order.items() if value is not None}

    return make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the outages came to: docs/reliability.md has the figures of one run."""
    for report in terminalreporter.getreports("passed"):
        for name, said in getattr(report, "user_properties", ()):
            if name == "came to" and report.when == "call":
                terminalreporter.write_line(f"{report.head_line}: {said}")
