"""A producer's own Celery application on the same Redis database, with Celery's defaults, and us: neither disturbs."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.acceptance.conftest import MakeOrder, Producer
from tests.processes import REPOSITORY, Processes, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

QUEUE = "crm"
COUNTDOWN_S = 115
"""Longer than our visibility timeout of 90 s and the 10 s after which we look for abandoned messages."""

APPLICATION = """
import os
from celery import Celery

app = Celery("crm", broker=os.environ["CRM_BROKER"])
app.conf.task_default_queue = "crm"
app.conf.worker_enable_remote_control = True

@app.task(name="crm.remind")
def remind(name):
    with open(os.environ["CRM_DONE"], "a") as done:
        done.write(name + "\\n")
"""


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """The file to which the neighbour writes what it has done."""
    file = tmp_path / "done"
    file.touch()
    return file


@pytest.fixture
def neighbour(tmp_path: Path, broker_url: str, done: Path) -> Iterator[Processes]:
    """Start processes of the producer's application."""
    home = tmp_path / "crm"
    home.mkdir()
    (home / "crm.py").write_text(APPLICATION)
    env = {"CRM_BROKER": broker_url, "CRM_DONE": str(done), "PYTHONPATH": str(home)}
    with Processes(tmp_path / "crm-log", env, home=home) as running:
        yield running


def test_a_neighbours_countdown_runs_once_and_its_workers_are_not_ours(
    processes: Processes,
    neighbour: Processes,
    producer: Producer,
    an_order: MakeOrder,
    broker_url: str,
    env: dict[str, str],
    done: Path,
) -> None:
    """Its delayed messages are unacknowledged for minutes; our timeout once gave them to it a second time."""
    neighbour.worker(app="crm")
    processes.beat()
    processes.worker()
    producer.app.send_task("crm.remind", ["later"], queue=QUEUE, countdown=COUNTDOWN_S)
    with redis.Redis.from_url(broker_url) as broker:
        for _ in eventually():
            if broker.hlen("unacked") == 1:
                break
        ticket = producer.submit(an_order())
        assert producer.await_end(ticket["order_id"])["state"] == "COMPLETED"
        report = subprocess.run(
            [sys.executable, "-c", "from number_orders.cli.app import main; main()", "doctor"],
            cwd=REPOSITORY,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        ).stdout
        (line,) = [line for line in report.splitlines() if line[6:].startswith("workers")]
        assert "1 with 3 children: worker1@" in line, report
        for _ in eventually(within_s=COUNTDOWN_S + 60, every_s=1):
            if done.read_text():
                break
        time.sleep(15)  # a second run would follow at once, since both copies have the same moment
    assert done.read_text().splitlines() == ["later"]
    assert all("No such control command" not in process.said() for process in neighbour.all)
