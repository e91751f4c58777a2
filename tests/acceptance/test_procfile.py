"""honcho on the Procfile serves the whole: on servers of somebody else, an order goes in, and comes out completed."""

import signal
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from number_orders.cli.stack.processes import free_port
from tests.acceptance.conftest import MakeOrder, producing
from tests.processes import REPOSITORY, Processes, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]


def test_every_process_of_the_procfile_works_and_stops(
    processes: Processes, broker_url: str, an_order: MakeOrder
) -> None:
    receiver, flower = free_port(), free_port()
    env = {
        "PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin",
        "NUMBER_ORDERS_RECEIVER__PORT": str(receiver),
        "NUMBER_ORDERS_FLOWER_PORT": str(flower),
        "NUMBER_ORDERS_FLOWER_PASSWORD": "of-this-test",
        "PYTHONUNBUFFERED": "1",
    }
    honcho = processes.run(
        "honcho", sys.executable, "-m", "honcho", "-f", str(REPOSITORY / "Procfile"), "start", env=env
    )
    honcho.await_words("ready.")

    with producing(broker_url) as producer:
        ticket = producer.submit(an_order())
        document = producer.await_end(ticket["order_id"])
    assert document["state"] == "COMPLETED"
    for url in (f"http://127.0.0.1:{receiver}/readyz", f"http://127.0.0.1:{flower}/healthcheck"):
        for _ in eventually():
            if answers(url):
                break

    started = psutil.Process(honcho.popen.pid).children(recursive=True)
    honcho.popen.send_signal(signal.SIGTERM)
    honcho.popen.wait(200)
    gone, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []
    assert len(gone) > 4
    assert "Traceback" not in honcho.said()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).is_success
    except httpx.TransportError:
        return False
