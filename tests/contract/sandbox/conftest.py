"""One sandbox for all tests here, reset for each of them."""

from collections.abc import Iterator

import pytest

from number_orders.sandbox.behaviour import read_behaviour
from number_orders.sandbox.server import running_sandbox
from tests.contract.sandbox.bandwidth.client import BandwidthClient
from tests.contract.sandbox.cm.client import CmClient
from tests.contract.sandbox.presets import AT_ONCE, SMALL
from tests.contract.sandbox.swift.client import SwiftClient


@pytest.fixture(scope="session")
def bandwidth_client() -> Iterator[BandwidthClient]:
    with running_sandbox(behaviour=read_behaviour(AT_ONCE), stock=SMALL) as control:
        client = BandwidthClient(control)
        yield client
        client.http.close()


@pytest.fixture(scope="session")
def swift_client(bandwidth_client: BandwidthClient) -> Iterator[SwiftClient]:
    client = SwiftClient(bandwidth_client.control)
    yield client
    client.http.close()


@pytest.fixture(scope="session")
def cm_client(bandwidth_client: BandwidthClient) -> Iterator[CmClient]:
    client = CmClient(bandwidth_client.control)
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
def bandwidth(bandwidth_client: BandwidthClient) -> BandwidthClient:
    bandwidth_client.control.reset()
    return bandwidth_client
