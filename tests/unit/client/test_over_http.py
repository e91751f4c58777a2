"""A producer with the client only, over HTTP, blocking and on an event loop; the API is a small one of the tests."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.responses import JSONResponse

from number_orders_client import (
    AsyncClient,
    Client,
    KeyConflict,
    NotAllowed,
    NotCancellable,
    NotEnded,
    NoTicket,
    OrderRefused,
    ServiceFailed,
    TooManyRequests,
    UnknownOrder,
)
from tests.unit.client.orders_api import TOKEN, OrdersApi, behind_a_proxy, problem, serving, silence

ORDER = {"key": "crm-1", "carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}
Call = Callable[..., Any]


@pytest.fixture
def api() -> OrdersApi:
    return OrdersApi()


@pytest.fixture
def url(api: OrdersApi) -> Iterator[str]:
    with serving(api) as address:
        yield address


@pytest.fixture(params=["blocking", "asyncio"])
def call(request: pytest.FixtureRequest, url: str) -> Iterator[Call]:
    """Call a method of either client: `call("submit", order)`."""
    yield from calling(request.param, url, wait_s=60)


@pytest.fixture(params=["blocking", "asyncio"])
def impatient_call(request: pytest.FixtureRequest, url: str) -> Iterator[Call]:
    """Call a method of a client that does not wait for long."""
    yield from calling(request.param, url, wait_s=3)


def calling(kind: str, url: str, *, wait_s: float) -> Iterator[Call]:
    if kind == "blocking":
        with Client(url, token=TOKEN, wait_s=wait_s) as client:
            yield lambda method, *args, **options: getattr(client, method)(*args, **options)
        return
    with asyncio.Runner() as runner:
        orders = AsyncClient(url, token=TOKEN, wait_s=wait_s)
        yield lambda method, *args, **options: runner.run(getattr(orders, method)(*args, **options))
        runner.run(orders.close())


def test_orders_are_submitted_found_waited_for_and_cancelled(call: Call, api: OrdersApi) -> None:
    ticket = call("submit", ORDER)
    assert ticket.new
    assert not call("submit", ORDER).new
    assert call("get", ticket.order_id).key == call("find", "crm-1").key == "crm-1"
    with pytest.raises(NotEnded) as going_on:
        call("wait", ticket.order_id, timeout_s=0.2, every_s=0.05)
    assert going_on.value.document.state == "ACCEPTED"
    api.orders[str(ticket.order_id)]["state"] = "PARKED"
    assert call("wait", ticket.order_id, timeout_s=60).state == "PARKED"
    assert call("cancel", ticket.order_id, why="not needed").state == "CANCELLED"
    assert call("wait", ticket.order_id, timeout_s=60).final


def test_refusals_have_types_and_faults(call: Call, api: OrdersApi) -> None:
    ticket = call("submit", ORDER)
    with pytest.raises(OrderRefused) as malformed:
        call("submit", ORDER | {"quantity": 0})
    assert [fault.field for fault in malformed.value.faults] == ["quantity"]
    assert api.seen == ["POST /v1/orders"]  # the malformed one was not sent
    with pytest.raises(OrderRefused, match="carrier: is not one of ours") as refused:
        call("submit", ORDER | {"carrier": "acme"})
    assert [fault.field for fault in refused.value.faults] == ["carrier"]
    with pytest.raises(KeyConflict):
        call("submit", ORDER | {"quantity": 2})
    with pytest.raises(UnknownOrder):
        call("get", uuid4())
    with pytest.raises(UnknownOrder):
        call("find", "crm-2")
    api.orders[str(ticket.order_id)]["state"] = "OPEN"
    with pytest.raises(NotCancellable, match="is OPEN"):
        call("cancel", ticket.order_id)


def test_of_many_each_is_answered_by_itself(call: Call, api: OrdersApi) -> None:
    many: list[Any] = [ORDER | {"key": f"crm-{i}"} for i in range(600)]
    many[2] = {"key": "crm-2"}
    many[550] |= {"carrier": "acme"}
    tickets, refused = call("submit_many", many)
    assert len(tickets) == len(api.orders) == 598
    assert [(one.index, one.key) for one in refused] == [(2, "crm-2"), (550, "crm-550")]
    assert api.seen == ["POST /v1/orders:batch"] * 2


def test_orders_with_many_numbers_go_in_batches_that_the_service_reads(call: Call, api: OrdersApi) -> None:
    numbers = [f"+1919234{i:04}" for i in range(5000)]
    named = {"carrier": "bandwidth", "kind": "new_numbers", "numbers": numbers}
    tickets, _ = call("submit_many", [{"key": f"crm-{i}", **named} for i in range(50)])
    assert len(tickets) == 50
    assert len(api.seen) > 1


def test_what_passes_is_no_ticket(call: Call, api: OrdersApi) -> None:
    async def too_many() -> Any:
        return problem("too-many-requests", 429, "at most 10 a second", **{"Retry-After": "2"})

    api.trouble = too_many
    with pytest.raises(TooManyRequests) as busy:
        call("submit", ORDER)
    assert busy.value.retry_after_s == 2
    api.trouble = behind_a_proxy
    with pytest.raises(NoTicket, match="upstream is down"):
        call("submit", ORDER)


def test_silence_is_not_waited_for(impatient_call: Call, api: OrdersApi) -> None:
    api.trouble = silence
    began = time.monotonic()
    with pytest.raises(NoTicket, match="safe to send it again"):
        impatient_call("submit", ORDER)
    assert time.monotonic() - began < 60


def test_an_answer_that_is_none_is_told_as_it_is(call: Call, api: OrdersApi) -> None:
    async def garbage() -> Any:
        return JSONResponse({"order_id": 5})

    async def crashed() -> Any:
        return problem("none", 500, "a bug")

    api.trouble = garbage
    with pytest.raises(ServiceFailed, match="an answer that is no Ticket: order_id: "):
        call("submit", ORDER)
    api.trouble = crashed
    with pytest.raises(ServiceFailed, match="a bug"):
        call("submit", ORDER)


def test_a_token_is_needed(url: str) -> None:
    with Client(url, token="no_other") as stranger, pytest.raises(NotAllowed):
        stranger.submit(ORDER)


def test_an_address_where_nobody_listens_is_no_ticket() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with (
            Client(f"http://127.0.0.1:{taken.getsockname()[1]}", token=TOKEN) as client,
            pytest.raises(NoTicket, match="ConnectError"),
        ):
            client.submit(ORDER)


def test_arguments_of_the_other_way_are_refused() -> None:
    with pytest.raises(ValueError, match="over HTTP give a token"):
        Client("https://orders.example", secret="whsec_")
    with pytest.raises(ValueError, match="a token is for HTTP"):
        Client("redis://broker", token=TOKEN)
    with pytest.raises(ValueError, match="must begin with https://"):
        Client("kafka://broker")
    with Client("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="the service chooses"):
        client.submit(ORDER, order_id=uuid4())
