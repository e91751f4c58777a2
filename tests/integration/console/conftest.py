"""A house for the commands: a real ledger and broker, and orders brought into any state by what is heard of them."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from config.settings import Settings
from number_orders.cli.app import app
from number_orders.cli.services import open_services
from number_orders.fulfilment.intake import Ticket
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.orders.events import Event
from number_orders.orders.model import CarrierName, Lane, OrderId
from number_orders.orders.policy import CarrierPolicy

BANDWIDTH = CarrierName("bandwidth")
CREDENTIALS = {
    "BASE_URL": "http://127.0.0.1:1",
    "ACCOUNT_ID": "9900000",
    "SITE_ID": "743",
    "CLIENT_ID": "sandbox-client",
    "CLIENT_SECRET": "sandbox-secret",
}
PATIENT = CarrierPolicy(doubt_patience=timedelta(0))


@dataclass(frozen=True, slots=True)
class House:
    """Does in one call what workers do in many."""

    settings: Settings

    def order(self, key: str, *heard: Event, **changes: Any) -> OrderId:
        """Take an order in, let everything be heard of it that is to be heard, and return its id."""
        return asyncio.run(self._order(key, heard, changes))

    def hear(self, order_id: OrderId, *heard: Event) -> None:
        """Let more be heard of an order."""
        asyncio.run(self._hear(order_id, heard))

    def claim(self, lane: Lane) -> None:
        """Take what is due on a lane, as a worker does that then has it in hand."""

        async def work() -> None:
            async with open_services(self.settings) as services:
                claimed = await services.ledger.schedule.claim(BANDWIDTH, lane, limit=10, lease=timedelta(seconds=45))
                assert claimed is not None

        asyncio.run(work())

    def limit(self, group: str, why: str) -> None:
        """Let the carrier want no such requests for an hour."""

        async def work() -> None:
            async with open_services(self.settings) as services:
                until = await services.ledger.now() + timedelta(hours=1)
                await services.ledger.limits.pause(BANDWIDTH, group, until=until, why=why)

        asyncio.run(work())

    async def _order(self, key: str, heard: tuple[Event, ...], changes: dict[str, Any]) -> OrderId:
        order = {
            "key": key,
            "carrier": "bandwidth",
            "kind": "new_numbers",
            "criteria": {"npa": "919", "city": None, "nxx": None},
            "quantity": 3,
            **changes,
        }
        async with open_services(self.settings) as services:
            (ticket,) = await services.intake.submit_many([order], producer="default")
        assert isinstance(ticket, Ticket), ticket
        await self._hear(ticket.order_id, heard)
        return ticket.order_id

    async def _hear(self, order_id: OrderId, heard: tuple[Event, ...]) -> None:
        async with open_services(self.settings) as services:
            recorder = Recorder(services.ledger, {BANDWIDTH: PATIENT})
            for event in heard:
                order = (await services.ledger.orders.read([order_id]))[order_id]
                await recorder.hear([Heard(order, event, attempt_number=order.sends)], now=await services.ledger.now())


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    """Commands set logging up for their process, which here is everybody's."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without any setting of ours, in an empty directory."""
    for name in list(os.environ):
        if name.startswith("NUMBER_ORDERS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def house(environment: pytest.MonkeyPatch, ledger_url: str, broker_url: str) -> House:
    """A ledger and a broker that the environment names, and a carrier that nobody answers for."""
    environment.setenv("NUMBER_ORDERS_DATABASE_URL", ledger_url)
    environment.setenv("NUMBER_ORDERS_BROKER_URL", broker_url)
    for name, value in CREDENTIALS.items():
        environment.setenv(f"NUMBER_ORDERS_BANDWIDTH__{name}", value)
    return House(Settings())


Command = Callable[..., Result]


@pytest.fixture
def command(environment: pytest.MonkeyPatch) -> Command:
    """Run a command as it is typed: `command("show", key)`; `columns` makes the screen that wide."""

    def run(*words: str, columns: int | None = 100, stdin: str | bytes | None = None) -> Result:
        if columns is None:
            environment.delenv("COLUMNS", raising=False)
        else:
            environment.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(app, [str(word) for word in words], input=stdin, catch_exceptions=False)

    return run
