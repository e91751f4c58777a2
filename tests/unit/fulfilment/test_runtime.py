"""A process opens its services before its first task, or, if that fails, with its first task."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from config.queues import CELERY
from number_orders.fulfilment import runtime
from number_orders.fulfilment.runtime import Services
from number_orders.ledger.ledger import PostgresLedger
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import CarrierName

SERVICES = cast("Services", object())


class FakeServices:
    """Opens services: quickly, slowly, or not at all."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self.error: Exception | None = None
        self.opens_in_s = 0.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Services]:
        try:
            await asyncio.sleep(self.opens_in_s)
            if self.error:
                raise self.error
            self.opened += 1
            yield SERVICES
        finally:
            self.closed += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    process: Any = runtime._Process
    monkeypatch.setattr(process, "open_services", None)
    monkeypatch.setattr(process, "runtime", None)
    made = FakeServices()
    runtime.install(made.open)
    yield made
    runtime.close()


def test_prepared_services_are_used(fake: FakeServices) -> None:
    runtime.prepare(within_s=60)
    assert fake.opened == 1
    assert runtime.runtime().services is SERVICES
    assert runtime.runtime() is runtime.runtime()
    assert fake.opened == 1


def test_first_task_opens_the_services_if_the_ledger_was_away(fake: FakeServices) -> None:
    fake.error = LedgerUnavailable("it is away")
    runtime.prepare(within_s=60)
    with pytest.raises(LedgerUnavailable, match="it is away"):
        runtime.runtime()
    fake.error = None
    assert runtime.runtime().services is SERVICES


def test_slow_ledger_is_not_waited_for(fake: FakeServices) -> None:
    fake.opens_in_s = 3600
    runtime.prepare(within_s=0.05)
    assert (fake.opened, fake.closed) == (0, 1)
    fake.opens_in_s = 0
    assert runtime.runtime().services is SERVICES


def test_silent_ledger_is_given_up_before_celery_kills_the_child(fake: FakeServices) -> None:
    """Celery kills a child that does not start in time, and would kill the next one for the same reason."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        @asynccontextmanager
        async def open_services() -> AsyncIterator[Services]:
            async with PostgresLedger.at(f"postgresql://anybody@127.0.0.1:{port}/nothing") as ledger:
                await ledger.schedule.open_lanes([CarrierName("bandwidth")])
                yield SERVICES

        runtime.install(open_services)
        began = time.monotonic()
        runtime.prepare(within_s=0.2)
        assert time.monotonic() - began < CELERY["worker_proc_alive_timeout"] / 2
    runtime.install(fake.open)
    assert runtime.runtime().services is SERVICES


def test_process_without_installed_services_prepares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    process: Any = runtime._Process
    monkeypatch.setattr(process, "open_services", None)
    runtime.prepare(within_s=60)
    with pytest.raises(RuntimeError, match="no runtime was installed"):
        runtime.runtime()
