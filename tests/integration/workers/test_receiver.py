"""The receiver's process: it refuses to start without an authority, and looks at the broker without depending on it."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from config.settings import Settings
from number_orders.cli.stack.processes import free_port
from tests.processes import Processes
from workers import receiver


def test_broker_is_looked_at_once_in_some_seconds(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(url: str) -> receiver._BrokerCheck:
        monkeypatch.setenv("NUMBER_ORDERS_BROKER_URL", url)
        return receiver._BrokerCheck(Settings())

    monkeypatch.setattr(receiver, "_BROKER_EVERY_S", 600.0)

    async def work() -> None:
        there, away = check(broker_url), check(f"redis://127.0.0.1:{free_port()}/0")
        assert await there() is None
        fault = await away()
        assert fault is not None
        assert await away() is fault  # another look would find another fault

    asyncio.run(work())


def test_broker_that_hangs_delays_no_order(ledger_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A broker that takes connections and never answers: the order is in the ledger, and its ticket comes at once."""
    silent = subprocess.Popen(
        [sys.executable, "-c", _SILENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert silent.stdout is not None
    broker = f"redis://127.0.0.1:{silent.stdout.readline().strip()}/0"
    port = free_port()
    bandwidth = {"ACCOUNT_ID": "9900000", "SITE_ID": "743", "TOKEN": "t", "BASE_URL": "http://127.0.0.1:1"}
    env = {f"NUMBER_ORDERS_BANDWIDTH__{name}": value for name, value in bandwidth.items()}
    env |= {"NUMBER_ORDERS_DATABASE_URL": ledger_url, "NUMBER_ORDERS_BROKER_URL": broker}
    order = {"carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}
    headers = {"Authorization": "Bearer crm-token"}
    try:
        with Processes(tmp_path_factory.mktemp("log"), env) as processes:
            own = {"NUMBER_ORDERS_RECEIVER__PORT": str(port)}
            started = processes.module("tests.integration.workers.patient_receiver", env=own)
            started.await_words("Application startup complete")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client:
                for n in range(5):
                    began = time.monotonic()
                    assert client.post("/v1/orders", json={**order, "key": f"crm-{n}"}).status_code == 201
                    assert time.monotonic() - began < 25, "a request waited for the broker"
                ready = client.get("/readyz")
                assert ready.status_code == 200
                assert "not needed" in ready.json()["checks"]["broker"]
            assert started.stop(within_s=50) == 0
    finally:
        os.killpg(silent.pid, signal.SIGKILL)
        silent.wait()
        silent.stdout.close()


_SILENT = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0), backlog=100)
print(server.getsockname()[1], flush=True)
time.sleep(600)
"""
