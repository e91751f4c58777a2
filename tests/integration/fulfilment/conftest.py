"""One practice carrier a module; one ledger a test."""

from collections.abc import Iterator

import pytest

from sandbox.control import SandboxControl
from sandbox.server import running_sandbox
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
def practice(ledger_url: str, carrier: SandboxControl) -> Practice:
    return Practice(ledger_url, carrier)
