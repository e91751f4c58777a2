"""Real workers on real engines; the carrier is an address at which nobody answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.processes import Processes


@pytest.fixture
def env(ledger_url: str, broker_url: str) -> dict[str, str]:
    """The environment in which this test's processes run."""
    return environment(ledger_url, broker_url)


def environment(database_url: str, broker_url: str) -> dict[str, str]:
    """Settings for processes on these engines."""
    return {
        "NUMBER_ORDERS_DATABASE_URL": database_url,
        "NUMBER_ORDERS_BROKER_URL": broker_url,
        "NUMBER_ORDERS_BANDWIDTH__BASE_URL": "http://127.0.0.1:9",
        "NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID": "9900000",
        "NUMBER_ORDERS_BANDWIDTH__SITE_ID": "743",
        "NUMBER_ORDERS_BANDWIDTH__TOKEN": "unused",
    }


@pytest.fixture
def processes(tmp_path: Path, env: dict[str, str]) -> Iterator[Processes]:
    """Start processes here; none outlives the test."""
    with Processes(tmp_path / "log", env) as running:
        yield running


@pytest.fixture
def app(broker_url: str) -> Iterator[Celery]:
    """A producer."""
    app = Celery("producer", broker=broker_url, backend=broker_url, set_as_current=False)
    yield app
    backend: Any = app.backend
    backend.result_consumer.stop()
    backend.client.connection_pool.disconnect()
    app.close()
