"""Clocks of machines differ by minutes, and nothing waits because of it: real processes with a shifted time of day."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import MakeOrder, Producer
from tests.acceptance.queries import acquired, sold_for
from tests.processes import REPOSITORY, Processes, eventually

pytestmark = pytest.mark.acceptance

FIVE_MINUTES = 300


def ahead(seconds: float) -> dict[str, str]:
    """Return the environment of a process whose clock is ahead by so much."""
    return {"PYTHONPATH": str(REPOSITORY / "tests" / "shifted_clock"), "TEST_CLOCK_AHEAD_S": str(seconds)}


def doctor(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Run `number-orders doctor` in a process of its own; return the last check of each name."""
    script = "from number_orders.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "doctor", "--json"],
        cwd=REPOSITORY,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize(
    ("beats", "workers"),
    [(-FIVE_MINUTES, 0), (0, FIVE_MINUTES), (0, -FIVE_MINUTES), (FIVE_MINUTES, -FIVE_MINUTES)],
    ids=["beat behind", "worker ahead", "worker behind", "ten minutes apart"],
)
def test_an_order_reaches_its_end_whatever_the_clocks_show(
    processes: Processes,
    producer: Producer,
    an_order: MakeOrder,
    carrier: SandboxControl,
    env: dict[str, str],
    beats: int,
    workers: int,
) -> None:
    """Without sweeps the order would stay OPEN; without bells it would stay ACCEPTED. The doctor names the clocks."""
    processes.beat(env=ahead(beats))
    processes.worker(env=ahead(workers))
    ticket = producer.submit(an_order(quantity=2))
    document = producer.await_end(ticket["order_id"])
    assert document["state"] == "COMPLETED"
    (sold,) = sold_for(carrier, document)
    assert acquired(document) == sorted(sold["bought"])

    checks = doctor(env)
    assert checks["beat"]["verdict"] == "good", checks
    assert checks["clocks"]["verdict"] == "look", checks
    says = checks["clocks"]["says"]
    shown = dict(part.rsplit(" ", 2)[:2] for part in says.removeprefix("to PostgreSQL's: ").split(", "))
    assert {node.split("@")[0] for node in shown} == {"this host", "worker1", "celerybeat"}
    for node, seconds in shown.items():
        expected = {"this host": 0, "worker1": workers, "celerybeat": beats}[node.split("@")[0]]
        assert abs(float(seconds) - expected) < 60, says


def test_the_doctor_names_its_own_clock_and_blames_nobody(processes: Processes, env: dict[str, str]) -> None:
    processes.beat()
    processes.worker()
    checks = doctor({**env, **ahead(-FIVE_MINUTES)})
    assert checks["beat"]["verdict"] == "good", checks
    assert re.search(r"this host -(29|30)\d\.\d s", checks["clocks"]["says"]), checks
    assert "worker1@" in checks["clocks"]["says"]
    assert "NTP" in checks["clocks"]["mend"]


def test_what_a_producer_times_counts_by_the_brokers_clock(
    processes: Processes, producer: Producer, an_order: MakeOrder
) -> None:
    """Five minutes ahead a worker would revoke what is to expire in a minute; behind, it would hold a countdown."""
    fast = processes.worker(env=ahead(FIVE_MINUTES))
    order = an_order()
    expiring = producer.app.send_task("orders.submit", [order], queue="orders", expires=60)
    assert expiring.get(timeout=60)["new"] is True
    late = producer.app.send_task("orders.submit", [order], queue="orders", expires=-60)
    with pytest.raises(Exception, match="expired"):
        late.get(timeout=60)
    fast.stop()
    processes.worker(env=ahead(-FIVE_MINUTES))
    delayed = producer.app.send_task("orders.submit", [order], queue="orders", countdown=1)
    assert delayed.get(timeout=60)["new"] is False


def test_a_beat_whose_clock_is_set_back_ticks_on(processes: Processes, broker_url: str, tmp_path: Path) -> None:
    """Celery's own beat waits until the clock shows the time of the last tick again."""
    switch = tmp_path / "set back"
    processes.beat(env={**ahead(-FIVE_MINUTES), "TEST_CLOCK_SHIFTS_WHEN": str(switch)})
    with redis.Redis.from_url(broker_url) as broker:
        for _ in eventually():
            if broker.llen("orders.sweep") >= 2:
                break
        switch.touch()
        broker.delete("orders.sweep")
        for _ in eventually(within_s=120):
            if broker.llen("orders.sweep") >= 3:
                break


def test_ticks_do_not_pile_up_while_no_worker_takes_them(processes: Processes, broker_url: str) -> None:
    """Nothing expires at a Redis, so beat stops sending: an hour without workers is ten messages, not 3600."""
    processes.beat()
    with redis.Redis.from_url(broker_url) as broker:
        for _ in eventually():
            if broker.llen("orders.sweep") >= 10:
                break
        counts = set()
        for turn, _ in enumerate(eventually(within_s=30, every_s=0.5)):
            counts.add(broker.llen("orders.sweep"))
            if turn == 6:
                break
    assert counts == {10}
