"""One sandbox for all tests here, as new for each of them."""

from collections.abc import Iterator

import pytest
from practice_client import AT_ONCE, PracticeClient

from sandbox.behaviour import read_behaviour
from sandbox.control import SandboxControl
from sandbox.server import running_sandbox


@pytest.fixture(scope="session")
def served_practice() -> Iterator[SandboxControl]:
    with running_sandbox(behaviour=read_behaviour(AT_ONCE)) as control:
        yield control


@pytest.fixture
def bandwidth(served_practice: SandboxControl) -> Iterator[PracticeClient]:
    served_practice.reset()
    client = PracticeClient(served_practice)
    yield client
    client.http.close()
