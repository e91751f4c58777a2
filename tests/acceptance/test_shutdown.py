"""SIGTERM to every process of a worker at once, as honcho and systemd's default send it, ends it as SIGTERM to one."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import Producer
from tests.acceptance.queries import rows
from tests.processes import Processes, eventually

pytestmark = pytest.mark.acceptance


def test_orders_on_their_way_are_finished_before_the_children_end(
    processes: Processes,
    producer: Producer,
    carrier: SandboxControl,
    ledger_url: str,
    an_order: Callable[..., dict[str, Any]],
) -> None:
    carrier.behave(latency_s={"order_create": [3, 3]})
    worker = processes.worker()
    producer.call("orders.submit_many", [an_order() for _ in range(6)])
    await_states(ledger_url, {"SUBMITTING": 6})

    os.killpg(worker.popen.pid, signal.SIGTERM)

    assert worker.popen.wait(120) == 0
    assert "WorkerLostError" not in worker.said()
    assert "sigterm_ignored" in worker.said()
    assert not rows(ledger_url, "SELECT FROM order_events WHERE state = 'IN_DOUBT'")
    assert not rows(ledger_url, "SELECT FROM orders WHERE state = 'SUBMITTING'")


def await_states(ledger_url: str, states: dict[str, int]) -> None:
    for _ in eventually(every_s=0.05):
        found = rows(ledger_url, "SELECT state, count(*) AS n FROM orders GROUP BY state")
        if {row["state"]: row["n"] for row in found} == states:
            return
