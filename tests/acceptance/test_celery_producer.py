"""A producer that is itself a Celery worker orders inside its tasks, and in the handler that it is notified with."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.celery_producer import QUEUE
from tests.acceptance.conftest import Producer
from tests.acceptance.test_readme import shown
from tests.processes import Processes, eventually

pytestmark = pytest.mark.acceptance


def test_producers_tasks_wait_for_tickets(
    processes: Processes, producer: Producer, broker_url: str, tmp_path: Path
) -> None:
    """Celery forbids waiting for a result inside a task, unless it is told that another pool answers."""
    told = tmp_path / "told"
    told.touch()
    processes.beat()
    processes.worker()
    theirs = {
        "BROKER_URL": broker_url,
        "NUMBER_ORDERS_BROKER_URL": broker_url,
        "TOLD": str(told),
        "README_SCRIPT": shown(),
    }
    processes.worker(env=theirs, app="tests.acceptance.celery_producer:app")
    producer.app.send_task("crm.order", ["crm-1"], queue=QUEUE)
    producer.app.send_task("crm.order_as_readme_says", queue=QUEUE)

    known: dict[tuple[str, str | None], dict[str, Any]] = {}
    for _ in eventually(90):
        known = {(line["what"], line.get("key")): line for line in lines(told)}
        assert not any(what == "failed" for what, _ in known), known
        if len(known) >= 3:
            break
    assert known["ordered", "crm-1"]["state"] == "COMPLETED"
    assert known["told", "crm-1"]["next_state"] == "ACCEPTED"
    assert known["readme", None]["state"] == "done"
    # The client leaves the producer's own application in its place.
    assert known["ordered", "crm-1"]["app"] == "crm"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]
