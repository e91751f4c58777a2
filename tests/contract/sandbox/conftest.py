"""One sandbox for all tests here, as new for each of them."""

from collections.abc import Iterator

import pytest

from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.inventory import StockPlan
from number_orders.sandbox.server import running_sandbox
from tests.contract.sandbox.cm_client import CmClient
from tests.contract.sandbox.practice_client import AT_ONCE, PracticeClient
from tests.contract.sandbox.swift_client import SwiftClient

SMALL = StockPlan(lines_per_exchange=24, toll_free_per_code=20, foreign_per_range=20)


@pytest.fixture(scope="session")
def practice() -> Iterator[PracticeClient]:
    with running_sandbox(behaviour=read_behaviour(AT_ONCE), stock=SMALL) as control:
        client = PracticeClient(control)
        yield client
        client.http.close()


@pytest.fixture(scope="session")
def swift_client(practice: PracticeClient) -> Iterator[SwiftClient]:
    client = SwiftClient(practice.control)
    yield client
    client.http.close()


@pytest.fixture(scope="session")
def cm_client(practice: PracticeClient) -> Iterator[CmClient]:
    client = CmClient(practice.control)
    yield client
    client.http.close()


@pytest.fixture
def swift(swift_client: SwiftClient) -> SwiftClient:
    swift_client.control.reset()
    return swift_client


@pytest.fixture
def cm(cm_client: CmClient) -> CmClient:
    cm_client.control.reset()
    return cm_client


@pytest.fixture
def bandwidth(practice: PracticeClient) -> PracticeClient:
    practice.control.reset()
    return practice
