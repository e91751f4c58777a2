"""Whole processes on real engines, with the sandbox carrier in a thread of the test."""

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from sandbox.control import SandboxControl
from sandbox.server import running_sandbox
from tests.processes import Processes

QUICK = {
    # A carrier that answers within a second and a half or not at all, and doubts that are settled in as much.
    "TIMEOUT_S": "1.5",
    "CONNECT_TIMEOUT_S": "1",
    "READ_TIMEOUT_S": "1.5",
    "POOL_TIMEOUT_S": "1",
    "ASK_FIRST_S": "0.2",
    "ASK_FACTOR": "1.3",
    "ASK_MAX_S": "1",
    "SLOW_ASK_MAX_S": "1",
    "DOUBT_FIRST_S": "0.2",
    "DOUBT_PATIENCE_S": "1.5",
    "DOUBT_ASKS": "3",
}


@pytest.fixture
def carrier() -> Iterator[SandboxControl]:
    """The sandbox carrier, quick and flawless unless told otherwise."""
    with quick_carrier() as control:
        yield control


@contextmanager
def quick_carrier() -> Iterator[SandboxControl]:
    """A carrier that needs less than half a second for an order."""
    with running_sandbox() as control:
        control.behave(processing_s=[0.05, 0.4], backorder_s=1, latency_s={"order_create": [0.005, 0.02]})
        yield control


@pytest.fixture
def env(ledger_url: str, broker_url: str, carrier: SandboxControl) -> dict[str, str]:
    """The environment in which this test's processes run."""
    return environment(ledger_url, broker_url, carrier)


def environment(ledger_url: str, broker_url: str, carrier: SandboxControl) -> dict[str, str]:
    """Settings for processes on these engines and this carrier."""
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

    def submit(self, order: dict[str, Any], *, order_id: str | None = None, wait_s: float = 20) -> dict[str, Any]:
        """Send one order and wait for its ticket."""
        sent = self.app.send_task(
            "orders.submit", kwargs={"order": order}, queue="orders", task_id=order_id or str(uuid4())
        )
        ticket: dict[str, Any] = sent.get(timeout=wait_s)
        return ticket

    def call(self, task: str, *args: Any, wait_s: float = 20) -> Any:
        """Call a task and wait for its result."""
        return self.app.send_task(task, args=args, queue="orders").get(timeout=wait_s)

    def await_end(self, order_id: str, within_s: float = 30) -> dict[str, Any]:
        """Ask until the order is at its end, and return its document."""
        until = time.monotonic() + within_s
        while True:
            document: dict[str, Any] = self.call("orders.get", order_id)
            if document["final"]:
                return document
            assert time.monotonic() < until, document
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
def an_order() -> Any:
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
