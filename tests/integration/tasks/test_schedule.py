"""What beat sends does its work in a worker: the nightly reconciliation raises its alarm."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from celery import Celery

from config.queues import SWEEP
from config.settings import PREFIX
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox
from tests.integration.fulfilment.portal import BandwidthPortal
from tests.integration.fulfilment.practice import QUIET
from tests.integration.workers.conftest import environment
from tests.processes import Processes, eventually


@pytest.fixture
def carrier() -> Iterator[SandboxControl]:
    with running_sandbox(behaviour=QUIET) as control:
        yield control


@pytest.fixture
def env(carrier: SandboxControl, ledger_url: str, broker_url: str) -> dict[str, str]:
    token = {"BASE_URL": carrier.url, "TOKEN": "sandbox-token"}
    return environment(ledger_url, broker_url) | {f"{PREFIX}BANDWIDTH__{name}": value for name, value in token.items()}


def test_the_reconciliation_that_beat_sends_raises_an_alarm(
    carrier: SandboxControl, ledger_url: str, processes: Processes, app: Celery
) -> None:
    with closing(BandwidthPortal(carrier)) as portal:
        portal.buy("+19195550120")
    processes.worker(children=1)

    app.send_task("orders.reconcile", queue=SWEEP, ignore_result=True)

    with psycopg.connect(ledger_url, autocommit=True) as db:
        for _ in eventually():
            if db.execute("SELECT FROM alarms").fetchall():
                break
        assert db.execute("SELECT what, carrier FROM alarms").fetchall() == [("numbers_orphaned", "bandwidth")]
