"""The logs of a whole run: every line is JSON, an order is followed by its id, and no secret is in any of them."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel, SecretStr

from config.settings import Settings
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import MakeOrder, Producer
from tests.processes import Process, Processes, eventually

pytestmark = pytest.mark.acceptance

TOKEN = "a token for metrics, of 32 characters"
NOTICES = "a secret for notices, of 32 characters"


def secrets_of(settings: BaseModel) -> list[str]:
    """Return every secret of the settings, and the passwords in their addresses."""
    found = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            found += secrets_of(value)
        elif isinstance(value, SecretStr):
            secret = value.get_secret_value()
            found += [secret, *filter(None, [urlsplit(secret).password])]
    return found


def lines_of(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.said().splitlines()]


def about(lines: list[dict[str, Any]], order_id: str) -> dict[str, Mapping[str, Any]]:
    """Return the last line of each kind about an order."""
    return {line["event"]: line for line in lines if line.get("order_id") == order_id}


def test_an_order_is_followed_by_its_id_and_no_secret_is_logged(
    processes: Processes,
    producer: Producer,
    an_order: MakeOrder,
    carrier: SandboxControl,
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the most talkative level, with an order that fails and one whose answer is lost beside it."""
    more = {
        "NUMBER_ORDERS_LOG_LEVEL": "DEBUG",
        "NUMBER_ORDERS_METRICS_TOKEN": TOKEN,
        "NUMBER_ORDERS_NOTICE_SECRET": NOTICES,
        "NUMBER_ORDERS_FLOWER_PASSWORD": "correct,horse",
    }
    worker, beat = processes.worker(env=more), processes.beat(env=more)
    notify = {"task": "crm.told", "queue": "crm"}
    order_id = producer.submit(an_order("crm-followed", notify=notify))["order_id"]
    refused = producer.submit(an_order("crm-refused", criteria={"npa": "406"}, quantity=1))["order_id"]
    assert producer.await_end(order_id)["state"] == "COMPLETED"
    assert producer.await_end(refused)["state"] == "FAILED"
    for _ in eventually():
        if "producer_told" in about(lines_of(worker), order_id):
            break
    assert worker.stop() == 0
    beat.popen.terminate()
    beat.popen.wait(60)

    lines = [*lines_of(worker), *lines_of(beat)]  # each of them is JSON
    assert all({"event", "level", "timestamp"} <= set(line) for line in lines)
    assert any("shutdown" in line["event"] for line in lines)  # Celery's own words too
    followed = about(lines, order_id)
    accepted = followed["order_accepted"]
    assert (accepted["key"], accepted["producer"], accepted["carrier"]) == ("crm-followed", "default", "bandwidth")
    moved = [line for line in lines if line.get("order_id") == order_id and line["event"] == "order_moved"]
    assert [line["to_state"] for line in moved][:2] == ["SUBMITTING", "OPEN"]
    assert moved[-1]["to_state"] == "COMPLETED"
    assert moved[1]["carrier_order_id"]
    assert (moved[1]["next"], bool(moved[1]["not_before"])) == ("ask", True)
    requests = [line for line in lines if line.get("order_id") == order_id and line["event"] == "request_sent"]
    assert requests[0]["request"].startswith("POST ")
    assert requests[-1]["request"].startswith("GET ")
    assert all(line["status"] < 300 for line in requests)
    assert followed["producer_told"]["channel"] == "task"
    assert about(lines, refused)["order_moved"]["reason"]

    for name, value in {**env, **more}.items():
        monkeypatch.setenv(name, value)
    secrets = secrets_of(Settings())
    assert {TOKEN, NOTICES, "sandbox-secret"} < set(secrets)
    said = worker.said() + beat.said()
    assert [secret for secret in secrets if secret in said] == []
