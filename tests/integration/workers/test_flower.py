"""Flower as we run it: nothing without the password, and nothing but looking with it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from flower.urls import handlers
from tornado.web import RequestHandler

from number_orders.cli.stack.readiness import serves_at
from tests.processes import Processes, eventually
from workers.listening import address_in

PASSWORD = "a long password"
LOGIN = httpx.BasicAuth("operator", PASSWORD)
OPEN = {"/healthcheck", "/static/(.*)"}
NO_CONTENT = {"/login/?", "/logout", ".*"}
"""Flower has no sessions with a password, and nothing to show there."""


def flower(processes: Processes, folder: Path, **settings: str) -> str:
    """Start Flower, and return its address."""
    own = {"FLOWER_PASSWORD": PASSWORD, "FLOWER_PORT": "0", "FLOWER_ADDRESS_FILE": str(folder / "address"), **settings}
    env = {f"NUMBER_ORDERS_{name}": value for name, value in own.items()}
    processes.run("flower", sys.executable, "-m", "number_orders.cli", "flower", env=env)
    for _ in eventually():
        if serves_at(folder / "address", "/healthcheck"):
            break
    address = address_in(folder / "address")
    assert address is not None
    return address


@pytest.fixture
def client(processes: Processes, tmp_path: Path) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=flower(processes, tmp_path), timeout=60, trust_env=False) as client:
        yield client


def routes() -> Iterator[tuple[str, type[RequestHandler]]]:
    for handler in handlers:
        if isinstance(handler, tuple):
            yield handler[0], handler[1]
        else:
            yield handler.regex.pattern.rstrip("$"), handler.handler_class


def methods(handler: type[RequestHandler]) -> list[str]:
    own = RequestHandler._unimplemented_method
    return [name for name in ("get", "post", "put", "delete", "patch") if getattr(handler, name) is not own]


def test_every_page_wants_the_password(client: httpx.Client) -> None:
    """Also the metrics, and pages that a later Flower has and this test does not know."""
    asked = 0
    for pattern, handler in routes():
        if pattern in OPEN | NO_CONTENT:
            continue
        for method in methods(handler):
            path = pattern.replace("(.+)", "x").replace("(.*)", "x")
            answers = [client.request(method, path), client.request(method, path, auth=("operator", "wrong"))]
            assert [answer.status_code for answer in answers] == [401, 401], (method, path)
            asked += 1
    assert asked > 20
    assert client.get("/metrics", auth=LOGIN).text.startswith("# HELP")
    assert client.get("/healthcheck").text == "OK"


def test_the_password_changes_nothing(client: httpx.Client) -> None:
    """No worker is shut down, no task revoked or sent."""
    refused = 0
    for pattern, handler in routes():
        for method in {*methods(handler)} - {"get"}:
            if pattern in {"/tasks/datatable", ".*"}:
                continue
            answer = client.request(method, pattern.replace("(.+)", "x"), auth=LOGIN)
            assert (answer.status_code, "read only" in answer.text.lower()) == (403, True), pattern
            refused += 1
    assert refused > 10


def test_flower_is_not_served_without_a_password(processes: Processes) -> None:
    started = processes.run("flower", sys.executable, "-m", "number_orders.cli", "flower")
    assert started.popen.wait(300) != 0
    assert "set NUMBER_ORDERS_FLOWER_PASSWORD" in started.said()


def test_celerys_own_flower_command_is_refused(processes: Processes) -> None:
    """It would serve without a password, to anybody who reaches it."""
    started = processes.run("flower", sys.executable, "-m", "celery", "-A", "workers.celery_app", "flower")
    assert started.popen.wait(300) != 0
    assert "use `number-orders flower`" in started.said()
