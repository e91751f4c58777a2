"""Real engines and workers for the client; the carrier's address refuses connections."""

import gc
from collections.abc import Iterator

import pytest

from tests.integration.workers.conftest import app, env, processes

__all__ = ["app", "collected", "env", "processes"]


@pytest.fixture(autouse=True)
def collected(broker_url: str) -> Iterator[None]:
    """Collect results that nobody waits for any more while there is a broker: they speak to it once more."""
    yield
    gc.collect()
