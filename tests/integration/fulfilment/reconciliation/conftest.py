"""A person at Bandwidth's portal."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.integration.fulfilment.portal import BandwidthPortal
from tests.integration.fulfilment.practice import Practice


@pytest.fixture
def portal(practice: Practice) -> Iterator[BandwidthPortal]:
    with closing(BandwidthPortal(practice.carrier)) as opened:
        yield opened
