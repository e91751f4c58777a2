"""One practice carrier a module; one ledger a test."""

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
    """The practice carrier, as at its start: quick, flawless, with everything in stock."""
    running_carrier.reset()
    return running_carrier


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[Practice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield Practice(ledger_url, db, carrier)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lane that has nothing to do be left at once; a test may have hundreds of stints."""
    monkeypatch.setattr(run, "_CLAIM_PAUSE_S", 0.002)
    monkeypatch.setattr(run, "_GATHER_S", 0.001)


@pytest.fixture(autouse=True)
def _no_words() -> Iterator[None]:
    """Keep thousands of crashes out of the log of the tests."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
