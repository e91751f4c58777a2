"""Run commands on a real ledger and broker, with orders in any state."""

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
from number_orders.ledger.dead_letters import DeadLetter
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
class Backend:
    """The ledger and broker under a test; each method does in one call what workers do in many."""

    settings: Settings

    def order(self, key: str, *heard: Event, **changes: Any) -> OrderId:
        """Accept an order, record these events, and return its id."""
        return asyncio.run(self._order(key, heard, changes))

    def hear(self, order_id: OrderId, *heard: Event) -> None:
        """Record more events of an order."""
        asyncio.run(self._hear(order_id, heard))

    def claim(self, lane: Lane) -> None:
        """Claim what is due on a lane, as a worker does."""

        async def work() -> None:
            async with open_services(self.settings) as services:
                claimed = await services.ledger.schedule.claim(BANDWIDTH, lane, limit=10, lease=timedelta(seconds=45))
                assert claimed is not None

        asyncio.run(work())

    def limit(self, group: str, why: str) -> None:
        """Pause a limit group of the carrier for an hour."""

        async def work() -> None:
            async with open_services(self.settings) as services:
                until = await services.ledger.now() + timedelta(hours=1)
                await services.ledger.limits.pause(BANDWIDTH, group, until=until, why=why)

        asyncio.run(work())

    def raise_trouble(self, order_id: OrderId) -> None:
        """Raise one alarm three times, and store one dead letter; both hold characters that could steer a terminal."""

        async def work() -> None:
            async with open_services(self.settings) as services:
                for _ in range(3):
                    await services.ledger.alarms.raise_alarm(
                        "overdue", str(order_id), carrier="bandwidth", order_id=order_id, detail="still\x1b[2J OPEN"
                    )
                letter = DeadLetter.of(
                    queue="orders",
                    why="cannot be read: JSONDecodeError",
                    task_id="t-1",
                    headers={"lang": "py"},
                    body=b"{\xff\x1b[2Jrest!",
                )
                await services.ledger.dead_letters.store(letter)

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
def _reset_logging() -> Iterator[None]:
    """Undo the logging set-up of commands: here all of them share one process."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Remove every setting of ours from the environment, and work in an empty directory."""
    for name in list(os.environ):
        if name.startswith("NUMBER_ORDERS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def backend(environment: pytest.MonkeyPatch, ledger_url: str, broker_url: str) -> Backend:
    """Name a ledger, a broker and a carrier that does not answer, in the environment."""
    environment.setenv("NUMBER_ORDERS_DATABASE_URL", ledger_url)
    environment.setenv("NUMBER_ORDERS_BROKER_URL", broker_url)
    for name, value in CREDENTIALS.items():
        environment.setenv(f"NUMBER_ORDERS_BANDWIDTH__{name}", value)
    return Backend(Settings())


Command = Callable[..., Result]


@pytest.fixture
def command(environment: pytest.MonkeyPatch) -> Command:
    """Run a command as it is typed, `command("show", key)`; `columns` is the width of the screen, None a pipe."""

    def run(*words: str, columns: int | None = 100, stdin: str | bytes | None = None) -> Result:
        if columns is None:
            environment.delenv("COLUMNS", raising=False)
        else:
            environment.setenv("COLUMNS", str(columns))
        return CliRunner().invoke(app, [str(word) for word in words], input=stdin, catch_exceptions=False)

    return run
