"""The whole application on a real ledger and the practice carrier, served by uvicorn on loopback."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
import structlog
from fastapi import APIRouter
from psycopg.rows import dict_row

from number_orders.carriers.bandwidth.market import BandwidthMarket
from number_orders.carriers.http.courier import Courier, CourierSettings
from number_orders.fulfilment.authority import Authority
from number_orders.fulfilment.inquiries import Seller
from number_orders.fulfilment.runtime import Services
from number_orders.receiver.app import create_app
from number_orders.receiver.parts import Connections, Limits
from number_orders.receiver.server import Address, Server, make_server
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.server import running_sandbox
from tests.integration.fulfilment.practice import BANDWIDTH, QUIET, TLS, Practice
from tests.receiver_tokens import KnownTokens
from workers.clock import utc_now

CRM = {"Authorization": "Bearer crm-token"}
SHOP = {"Authorization": "Bearer shop-token"}
ADA = {"Authorization": "Bearer ada-token"}


@dataclass
class Running:
    """A receiver that serves, with the ledger and the carrier below it."""

    url: str
    practice: Practice
    server: Server
    thread: threading.Thread

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=headers, timeout=120)

    def stop(self) -> None:
        """Stop as at SIGTERM, and wait."""
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()

    def work(self) -> None:
        """Work on everything that is due, as a worker does, until nothing is."""

        async def run() -> None:
            from number_orders.orders.model import Lane  # noqa: PLC0415

            async with self.practice.opened() as services:
                for _ in range(10):
                    for lane in (Lane.SUBMIT, Lane.ASK):
                        await services.orders.work(BANDWIDTH, lane)
                    if self.practice.is_idle():
                        return
                    self.practice.pass_time(minutes=10)

        asyncio.run(run())


@asynccontextmanager
async def connected(
    practice: Practice, authority: Callable[[Services], Authority] | None = None, **more: Any
) -> AsyncIterator[Connections]:
    """What the receiver is connected to: the services of a worker, and a courier of its own."""
    settings = CourierSettings(base_url=practice.carrier.url, total_timeout_s=20, read_timeout_s=20)
    courier = Courier(settings, practice.credentials(), now=utc_now, tls=TLS)
    async with practice.opened() as services:
        sellers = {BANDWIDTH: Seller(practice.adapter(), BandwidthMarket("9900000"), courier)}
        try:
            known = authority(services) if authority else KnownTokens()
            yield Connections(services=services, authority=known, sellers=sellers, **more)
        finally:
            await courier.aclose()


@contextmanager
def running_receiver(
    practice: Practice,
    limits: Limits | None = None,
    *,
    routers: Sequence[APIRouter] = (),
    trusted_proxies: str = "",
    **more: Any,
) -> Iterator[Running]:
    """Serve in a thread."""
    app = create_app(lambda: connected(practice, **more), limits=limits or Limits(), routers=routers)
    server = make_server(app, Address("127.0.0.1", 0, trusted_proxies))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the receiver did not start"
            threading.Event().wait(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", practice, server, thread)
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="session")
def running_carrier() -> Iterator[SandboxControl]:
    with running_sandbox(behaviour=QUIET) as control:
        yield control


@pytest.fixture
def practice(ledger_url: str, running_carrier: SandboxControl) -> Iterator[Practice]:
    running_carrier.reset()
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield Practice(ledger_url, db, running_carrier)


@pytest.fixture
def receiver(practice: Practice) -> Iterator[Running]:
    with running_receiver(practice) as running:
        yield running


@pytest.fixture
def crm(receiver: Running) -> Iterator[httpx.Client]:
    """A producer."""
    with receiver.client(**CRM) as client:
        yield client


@pytest.fixture
def shop(receiver: Running) -> Iterator[httpx.Client]:
    """Another producer."""
    with receiver.client(**SHOP) as client:
        yield client


@pytest.fixture
def ada(receiver: Running) -> Iterator[httpx.Client]:
    """An operator."""
    with receiver.client(**ADA) as client:
        yield client


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
