"""A real Chromium on a real receiver: embedded engines, the practice carrier, a worker and beat as processes."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from number_orders.cli.stack.processes import free_port
from number_orders.embedded.engines import Engines
from number_orders.ledger.ledger import PostgresLedger
from tests.acceptance.conftest import Backend, empty_backend, environment
from tests.browser.conftest import SCREENSHOTS
from tests.processes import Processes


@dataclass(frozen=True, slots=True)
class Desk:
    """The running system, and what an operator needs."""

    url: str
    token: str
    producer_token: str
    backend: Backend
    processes: Processes

    def submit(self, *orders: dict[str, Any]) -> list[str]:
        """Order as a producer over HTTP; return the orders' ids."""
        with httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.producer_token}"}) as client:
            return [client.post("/v1/orders", json=order).raise_for_status().json()["order_id"] for order in orders]


def make_token(url: str, name: str, role: str) -> str:
    """Add a producer or an operator, and return a token of it."""

    async def make() -> str:
        async with PostgresLedger.at(url, connections_max=1) as ledger:
            await ledger.producers.add(name, role, by="test")
            made = await ledger.producers.make_token(name, by="test")
            assert made is not None
            return made.text

    with ThreadPoolExecutor(1) as thread:  # Playwright has a loop in this one
        return thread.submit(asyncio.run, make()).result()


@pytest.fixture(scope="module")
def desk(engines: Engines, ledger_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A receiver, a worker and beat on a ledger of their own."""
    with empty_backend(engines) as backend:
        port = free_port()
        token, producer_token = (
            make_token(backend.ledger_url, name, role) for name, role in (("ada", "operator"), ("crm", "producer"))
        )
        env = environment(backend.ledger_url, backend.broker_url, backend.carrier)
        with Processes(tmp_path_factory.mktemp("log"), env | {"NUMBER_ORDERS_RECEIVER__PORT": str(port)}) as running:
            running.serve(port)
            running.beat()
            running.worker()
            yield Desk(f"http://127.0.0.1:{port}", token, producer_token, backend, running)


NewPage = Callable[..., Page]


@pytest.fixture
def new_page(browser: Browser, desk: Desk) -> Iterator[NewPage]:
    """Open pages in contexts of their own. Nothing may be logged as an error there, nor asked of another host.

    `expects`: parts of the messages that a page may log all the same.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []
    expected = ["status of 4"]

    def on_message(message: ConsoleMessage) -> None:
        # Chromium logs every answer that is no success; a refusal shown to the operator is one.
        if message.type in {"error", "warning"} and not any(each in message.text for each in expected):
            wrong.append(message.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith(desk.url):
            wrong.append(request.url)

    def make(*, expects: Sequence[str] = (), **options: Any) -> Page:
        expected.extend(expects)
        context = browser.new_context(base_url=desk.url, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        page.on("console", on_message)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", on_request)
        return page

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


def log_in(page: Page, desk: Desk) -> None:
    page.goto("/")
    page.get_by_label("Token").fill(desk.token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")


def screenshot(page: Page, name: str, *, whole: bool = True) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)
