"""The orders API as a process: a user with curl's means orders and watches; killed under load, it loses nothing.

What was acknowledged is in the ledger, whatever became of the process.
"""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.settings import Settings
from number_orders.cli.stack.processes import free_port
from number_orders.cli.stack.stack import Stack, StackOptions
from tests.acceptance.conftest import MakeOrder
from tests.processes import Processes, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

CRM = {"Authorization": "Bearer crm-token"}


def await_end(client: httpx.Client, order_id: str) -> dict[str, Any]:
    for _ in eventually():
        document: dict[str, Any] = client.get(f"/v1/orders/{order_id}").raise_for_status().json()
        if document["final"]:
            return document
    raise AssertionError("unreachable")


def lines_of(client: httpx.Client, path: str, headers: Mapping[str, str]) -> Iterator[str]:
    with client.stream("GET", path, headers={"Accept": "text/event-stream", **headers}) as answer:
        yield from answer.iter_lines()


def test_user_orders_and_watches_to_the_end(processes: Processes, an_order: MakeOrder) -> None:
    """An order with a header for its key; a stream that a restart of the receiver cuts and Last-Event-ID resumes."""
    processes.beat()
    port = free_port()
    first = processes.receiver(port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=CRM, timeout=30) as client:
        assert client.get("/readyz").json() == {"ready": True, "checks": {"ledger": "ok", "broker": "ok"}}
        order = {name: value for name, value in an_order().items() if name != "key"}
        posted = client.post("/v1/orders", json=order, headers={"Idempotency-Key": "crm-1"})
        assert posted.status_code == 201
        events = f"{posted.headers['location']}/events"
        seen = []
        for line in lines_of(client, events, {}):
            if line.startswith("id: "):
                seen.append(int(line.removeprefix("id: ")))
                break
        assert first.stop(within_s=25) == 0  # though a stream was just open

        processes.receiver(port)
        processes.worker()
        end: dict[str, Any] | None = None
        is_end = False
        for line in lines_of(client, events, {"Last-Event-ID": str(seen[-1])}):
            if line.startswith("id: "):
                seen.append(int(line.removeprefix("id: ")))
            is_end = is_end or line == "event: end"
            if is_end and line.startswith("data: "):
                end = json.loads(line.removeprefix("data: "))
        assert end is not None
        assert end["state"] == "COMPLETED"
        assert seen == list(range(end["version"] + 1))
        assert client.get(posted.headers["location"]).json() == end


def test_open_stream_does_not_hold_up_a_stop(processes: Processes, an_order: MakeOrder) -> None:
    port = free_port()
    receiver = processes.receiver(port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=CRM, timeout=30) as client:
        path = f"{client.post('/v1/orders', json=an_order()).headers['location']}/events"
        arriving = lines_of(client, path, {})
        next(arriving)
        began = time.monotonic()
        receiver.popen.send_signal(signal.SIGTERM)
        rest = list(arriving)
        assert receiver.popen.wait(25) == 0
    assert "event: end" not in rest
    assert time.monotonic() - began < 10  # it waits 20 s for requests under way


def test_killed_under_load_nothing_acknowledged_is_lost(processes: Processes, an_order: MakeOrder) -> None:
    """Producers send again, under the same key, what was not acknowledged: each key is one order, and it ends."""
    processes.beat()
    processes.worker()
    port = free_port()
    running = [processes.receiver(port)]
    orders = [an_order(f"crm-{n}") for n in range(150)]
    acknowledged: dict[str, str] = {}
    sent = threading.Event()

    def send_until_acknowledged(order: dict[str, Any]) -> str:
        for _ in eventually(every_s=0.05):
            try:
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=CRM, timeout=10) as client:
                    answer = client.post("/v1/orders", json=order)
            except httpx.TransportError:
                continue
            if answer.status_code in {200, 201}:
                acknowledged[order["key"]] = answer.json()["order_id"]
                if len(acknowledged) > 20:
                    sent.set()
                return str(answer.json()["order_id"])
        raise AssertionError("unreachable")

    with ThreadPoolExecutor(12) as pool:
        sending = [pool.submit(send_until_acknowledged, order) for order in orders]
        assert sent.wait(60)
        running[0].kill()
        before_kill = dict(acknowledged)
        running.append(processes.receiver(port))
        ids = [future.result(timeout=120) for future in sending]

    assert 20 < len(before_kill) < len(orders), "the kill did not come in the middle"
    assert len(set(ids)) == len(orders)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=CRM, timeout=30) as client:
        for key, order_id in acknowledged.items():
            (listed,) = client.get("/v1/orders", params={"key": key}).json()["orders"]
            assert listed["order_id"] == order_id
            assert await_end(client, order_id)["state"] == "COMPLETED"


def test_stack_starts_it_and_stops_it_first(tmp_path: Path, an_order: MakeOrder) -> None:
    """With its address in the note, which `env` and other commands read."""
    lines: list[tuple[str, str]] = []
    settings = Settings(var_dir=tmp_path / "var", children=3)
    command = [sys.executable, "-m", "tests.receiver_tokens"]
    options = StackOptions(receiver=command)
    with Stack(settings, output=lambda name, line: lines.append((name, line)), options=options) as stack:
        assert stack.addresses is not None
        url = stack.addresses.receiver
        note = json.loads((tmp_path / "var" / "stack.json").read_text())
        assert url is not None
        assert note["receiver"] == url
        with httpx.Client(base_url=url, headers=CRM, timeout=30) as client:
            assert client.get("/readyz").json()["ready"] is True
            order_id = client.post("/v1/orders", json=an_order()).json()["order_id"]
            assert await_end(client, order_id)["state"] == "COMPLETED"
    stopped = [name for name, line in lines if "Finished server process" in line or "Shutting down" in line]
    assert "receiver" in stopped
