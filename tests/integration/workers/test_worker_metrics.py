"""A worker's metrics are those of all its pool children, for those who have the token."""

import os
import tempfile
import time
from pathlib import Path

import httpx
import pytest
from celery import Celery
from pydantic import ValidationError

from config.settings import Settings
from number_orders.cli.stack.processes import free_port
from tests.later import LATER
from tests.processes import Processes, eventually

TOKEN = "0123456789abcdef0123456789abcdef"
ORDER = {"carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}


def test_counts_of_all_children_are_added_up(processes: Processes, app: Celery) -> None:
    """The carrier refuses connections; orders come in at several children."""
    port = free_port()
    env = {"NUMBER_ORDERS_METRICS_PORT": str(port), "NUMBER_ORDERS_METRICS_TOKEN": TOKEN}
    worker = processes.worker(children=3, env=env)
    later = [ORDER | {"key": f"later-{number}", "not_before": LATER} for number in range(6)]
    sent = [app.send_task("orders.submit_many", [[order]], queue="orders") for order in later]
    app.send_task("orders.submit", [ORDER | {"key": "now"}], queue="orders").get(timeout=90)
    for one in sent:
        one.get(timeout=90)
    app.send_task("orders.cancel", [sent[0].get()["tickets"][0]["order_id"]], queue="orders").get(timeout=90)

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        assert client.get("/metrics").status_code == 401
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert client.get("/other").status_code == 404
        text = ""
        for _ in eventually():
            text = client.get("/metrics").text
            if 'number_orders_order_events_total{carrier="bandwidth",event="NotSent"}' in text:
                break
    assert 'number_orders_orders_accepted_total{carrier="bandwidth",kind="new_numbers"} 7.0' in text
    assert 'number_orders_orders_ended_total{carrier="bandwidth",kind="new_numbers",state="CANCELLED"} 1.0' in text
    assert 'number_orders_carrier_calls_total{carrier="bandwidth",outcome="no_answer"}' in text
    assert 'number_orders_carrier_call_seconds_count{carrier="bandwidth"}' in text
    folder = Path(tempfile.gettempdir()) / f"number-orders-metrics-{os.getuid()}-{worker.popen.pid}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert worker.stop() == 0
    assert not folder.exists()


def test_a_port_that_is_taken_stops_no_worker(processes: Processes, app: Celery) -> None:
    port = free_port()
    env = {"NUMBER_ORDERS_METRICS_PORT": str(port), "NUMBER_ORDERS_METRICS_OPEN": "true"}
    processes.worker(children=1, env=env)
    for _ in eventually():
        if httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).status_code == 200:
            break
    second = processes.worker(children=1, env=env)
    second.await_words("metrics_not_served")
    time.sleep(0.5)
    assert second.popen.poll() is None


def test_metrics_are_never_open_by_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER_ORDERS_METRICS_PORT", "9100")
    with pytest.raises(ValidationError, match="metrics_port needs metrics_token"):
        Settings()
