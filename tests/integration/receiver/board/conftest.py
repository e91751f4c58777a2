"""The board on a real ledger, served on loopback: operators and producers with tokens of the ledger."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from number_orders.fulfilment.token_authority import TokenAuthority
from number_orders.ledger.ledger import PostgresLedger
from number_orders.orders.model import OrderId
from number_orders.receiver.board.policy import BoardPolicy
from number_orders.receiver.board.routes import board_router
from tests.integration.fulfilment.practice import Practice, accept
from tests.integration.receiver.conftest import Running, running_receiver

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def make_token(url: str, name: str, role: str) -> str:
    """Add a producer or an operator, and return a token of it."""

    async def make() -> str:
        async with PostgresLedger.at(url, connections_max=1) as ledger:
            await ledger.producers.add(name, role, by="test")
            made = await ledger.producers.make_token(name, by="test")
            assert made is not None
            return made.text

    return asyncio.run(make())


@contextmanager
def running_board(
    practice: Practice, policy: BoardPolicy | None = None, trusted_proxies: str = ""
) -> Iterator[Running]:
    """Serve the board in a thread."""
    with running_receiver(
        practice,
        routers=[board_router(policy or BoardPolicy())],
        trusted_proxies=trusted_proxies,
        authority=lambda services: TokenAuthority(services.ledger.producers),
    ) as running:
        yield running


@pytest.fixture
def token(ledger_url: str) -> str:
    """The token of the operator ada."""
    return make_token(ledger_url, "ada", "operator")


@pytest.fixture
def board(practice: Practice, token: str) -> Iterator[Running]:
    with running_board(practice) as running:
        yield running


@pytest.fixture
def ada(board: Running, token: str) -> Iterator[httpx.Client]:
    """A browser in which ada has logged in."""
    with board.client(**SAME_ORIGIN) as client:
        answer = client.post("/login", data={"token": token})
        assert answer.status_code == 303
        yield client


def take_in(practice: Practice, *orders: dict[str, Any]) -> list[OrderId]:
    """Accept these orders; return their ids."""

    async def take() -> list[OrderId]:
        async with practice.opened() as services:
            return await accept(services, *orders)

    return asyncio.run(take())


def form_token(client: httpx.Client, path: str = "/") -> str:
    """The token that the forms of this session carry."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get(path).text)
    assert found
    return found[1]
