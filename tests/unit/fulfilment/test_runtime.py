"""A process opens its services before its first task, or, where that fails, with it."""

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

A_ROOM = cast("Services", object())


class Doors:
    """Services that open as they are told to."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self.trouble: Exception | None = None
        self.takes_s = 0.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Services]:
        try:
            await asyncio.sleep(self.takes_s)
            if self.trouble:
                raise self.trouble
            self.opened += 1
            yield A_ROOM
        finally:
            self.closed += 1


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    home: Any = runtime._Process
    monkeypatch.setattr(home, "open_services", None)
    monkeypatch.setattr(home, "runtime", None)
    made = Doors()
    runtime.install(made.open)
    yield made
    runtime.close()


def test_a_room_that_was_prepared_is_the_one_that_is_used(doors: Doors) -> None:
    runtime.prepare(within_s=1)
    assert doors.opened == 1
    assert runtime.runtime().services is A_ROOM
    assert runtime.runtime() is runtime.runtime()
    assert doors.opened == 1


def test_without_a_ledger_the_first_task_opens_it(doors: Doors) -> None:
    doors.trouble = LedgerUnavailable("it is away")
    runtime.prepare(within_s=1)
    with pytest.raises(LedgerUnavailable, match="it is away"):
        runtime.runtime()
    doors.trouble = None
    assert runtime.runtime().services is A_ROOM


def test_a_ledger_that_is_slow_is_not_waited_for(doors: Doors) -> None:
    doors.takes_s = 3600
    runtime.prepare(within_s=0.05)
    assert (doors.opened, doors.closed) == (0, 1)
    doors.takes_s = 0
    assert runtime.runtime().services is A_ROOM


def test_a_ledger_that_is_silent_is_given_up_before_celery_gives_up_the_child(doors: Doors) -> None:
    """Celery kills a child that is not up in time, and would kill the next one for the same."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        @asynccontextmanager
        async def open_services() -> AsyncIterator[Services]:
            async with PostgresLedger.at(f"postgresql://anybody@127.0.0.1:{port}/nothing") as ledger:
                await ledger.schedule.open_lanes([CarrierName("bandwidth")])
                yield A_ROOM

        runtime.install(open_services)
        began = time.monotonic()
        runtime.prepare(within_s=0.2)
        assert time.monotonic() - began < CELERY["worker_proc_alive_timeout"] / 2
    runtime.install(doors.open)
    assert runtime.runtime().services is A_ROOM


def test_where_no_room_was_installed_nothing_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    home: Any = runtime._Process
    monkeypatch.setattr(home, "open_services", None)
    runtime.prepare(within_s=1)
    with pytest.raises(RuntimeError, match="no runtime was installed"):
        runtime.runtime()
