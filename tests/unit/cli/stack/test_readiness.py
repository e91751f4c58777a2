"""A start waits until every process is ready, and names one that is not, with its last lines."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from number_orders.cli.stack.readiness import ReadyCheck, StackError, await_ready, serves


def test_returns_when_every_check_has_passed_once() -> None:
    turns = iter([False, False, True])
    is_ready = [ReadyCheck("worker1", "answers", lambda: next(turns), 5), ReadyCheck("beat", "rings", lambda: True, 5)]

    await_ready(is_ready, exits=lambda _name: 0, last_lines=lambda _name: "")

    assert list(turns) == []


def test_process_that_is_not_ready_is_named_with_its_last_lines() -> None:
    checks = [ReadyCheck("beat", "rings", lambda: True, 5), ReadyCheck("worker1", "answers", lambda: False, 0.05)]

    with pytest.raises(StackError, match=r"worker1 did not come up .*answers: not within .*Its last lines:\nno broker"):
        await_ready(checks, exits=lambda _name: 0, last_lines=lambda name: {"worker1": "no broker"}[name])


def test_process_that_keeps_exiting_is_given_up() -> None:
    checks = [ReadyCheck("flower", "serves", lambda: False, 3600)]

    with pytest.raises(StackError, match="it exited 2 times"):
        await_ready(checks, exits=lambda _name: 2, last_lines=lambda _name: "")


@pytest.fixture
def answering() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.removeprefix("/")))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "served"), [(200, True), (401, True), (500, False)])
def test_page_that_asks_for_a_password_counts_as_served(answering: str, status: int, *, served: bool) -> None:
    assert serves(f"{answering}/{status}") is served


def test_address_without_a_server_is_not_served() -> None:
    assert serves("http://127.0.0.1:9/") is False
