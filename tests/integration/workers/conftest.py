"""Real workers on real engines; the carrier's address refuses connections."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.processes import Processes


@pytest.fixture
def env(ledger_url: str, broker_url: str) -> dict[str, str]:
    """Return the environment variables of the test's processes."""
    return environment(ledger_url, broker_url)


def environment(database_url: str, broker_url: str) -> dict[str, str]:
    """Return the settings for processes on these engines, as environment variables."""
    return {
        "NUMBER_ORDERS_DATABASE_URL": database_url,
        "NUMBER_ORDERS_NUMBERS_PER_HOUR": "1000000",
        "NUMBER_ORDERS_BROKER_URL": broker_url,
        "NUMBER_ORDERS_OPERATORS_QUEUE": "true",
        "NUMBER_ORDERS_BANDWIDTH__BASE_URL": "http://127.0.0.1:9",
        "NUMBER_ORDERS_BANDWIDTH__ACCOUNT_ID": "9900000",
        "NUMBER_ORDERS_BANDWIDTH__SITE_ID": "743",
        "NUMBER_ORDERS_BANDWIDTH__TOKEN": "unused",
    }


@pytest.fixture
def processes(tmp_path: Path, env: dict[str, str]) -> Iterator[Processes]:
    """Start processes with this; they end with the test."""
    with Processes(tmp_path / "log", env) as running:
        yield running


@pytest.fixture
def app(broker_url: str) -> Iterator[Celery]:
    """Return a producer's Celery application."""
    app = Celery("producer", broker=broker_url, backend=broker_url, set_as_current=False)
    yield app
    backend: Any = app.backend
    backend.result_consumer.stop()
    backend.client.connection_pool.disconnect()
    app.close()
