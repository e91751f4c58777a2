"""One practice carrier for all tests, one ledger for each test."""

import logging
from collections.abc import Iterator

import psycopg
import pytest
import structlog
from psycopg.rows import dict_row

from number_orders.fulfilment.lanes import run
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox
from tests.integration.fulfilment.practice import QUIET, Practice


@pytest.fixture(scope="session")
def running_carrier() -> Iterator[SandboxControl]:
    with running_sandbox(behaviour=QUIET) as control:
        yield control


@pytest.fixture
def carrier(running_carrier: SandboxControl) -> SandboxControl:
    """The practice carrier as at its start: fast, without faults, with everything in stock."""
    running_carrier.reset()
    return running_carrier


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[Practice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield Practice(ledger_url, db, carrier)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lane run without work end at once: a test may have hundreds of lane runs."""
    monkeypatch.setattr(run, "_CLAIM_PAUSE_S", 0.002)
    monkeypatch.setattr(run, "_GATHER_S", 0.001)


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    """Keep thousands of simulated crashes out of the log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
