"""A broker that is silent, frozen or gone costs no call more than its time, and shows as `NoTicket` only."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import redis

from number_orders.embedded.engines import Engines
from number_orders_client import Client, NoTicket
from number_orders_client.over_redis import RedisTransport
from tests.integration.client.answering import answering
from tests.processes import eventually

WAIT_S = 3.0
SLACK_S = 15.0
"""For a machine that is busy; libraries' own patience was 21 s."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[psutil.Process]:
    """Start a broker that the test may stop; yield its process."""
    engines = Engines(tmp_path / "own", durable=False)
    engines.valkey.start()
    port = int(engines.broker_url.rsplit(":", 1)[1].split("/")[0])
    (process,) = [one for one in psutil.Process().children(recursive=True) if _listens(one, port)]
    process.url = engines.broker_url  # type: ignore[attr-defined]
    yield process
    if process.is_running():
        process.resume()
    engines.valkey.stop()


def _listens(process: psutil.Process, port: int) -> bool:
    return any(one.status == "LISTEN" and one.laddr.port == port for one in process.net_connections())


def assert_no_ticket(client: Client, during: Callable[[], None] | None = None) -> None:
    later = threading.Timer(WAIT_S / 4, during) if during else None
    if later:
        later.start()
    began = time.monotonic()
    with pytest.raises(NoTicket, match="safe to send it again"):
        client.get(uuid4())
    took = time.monotonic() - began
    if later:
        later.join()
    assert took < WAIT_S + SLACK_S


@pytest.fixture(params=[None, {}], ids=["redis", "celery"])
def new_client(broker: psutil.Process, request: pytest.FixtureRequest) -> Callable[[], Client]:
    """Return what makes a client of this broker that takes one of the two ways."""
    return lambda: Client(broker.url, wait_s=WAIT_S, celery_settings=request.param)  # type: ignore[attr-defined]


def test_a_frozen_broker(broker: psutil.Process, new_client: Callable[[], Client]) -> None:
    with new_client() as connected:
        assert_no_ticket(connected, broker.suspend)
        assert_no_ticket(connected)
        assert_no_ticket(new_client())
        broker.resume()


def test_a_broker_that_is_gone(broker: psutil.Process, new_client: Callable[[], Client]) -> None:
    with new_client() as connected:
        assert_no_ticket(connected, lambda: os.kill(broker.pid, signal.SIGKILL))
        assert_no_ticket(connected)
        assert_no_ticket(new_client())


def test_a_broker_that_became_a_replica(broker: psutil.Process) -> None:
    """It still answers on its connections. Kept, they would refuse every call, although the address leads elsewhere."""
    url: str = broker.url  # type: ignore[attr-defined]
    way = RedisTransport(url, producer="crm", secret=None, wait_s=WAIT_S)
    with redis.Redis.from_url(url) as server:
        with answering(url, calls=1):
            assert way.find("crm-1")["key"] == "crm-1"
        server.replicaof("127.0.0.1", 1)
        with pytest.raises(NoTicket, match="read only replica"):
            way.find("crm-1")
        for _ in eventually():
            if len(server.client_list(_type="normal")) == 1 and not server.client_list(_type="pubsub"):
                break
        server.replicaof("NO", "ONE")
        with answering(url, calls=1):
            assert way.find("crm-2")["key"] == "crm-2"
    way.close()
