"""Carriers' notices on real processes: they bring ends sooner, and nothing that happens to them changes an end."""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import Backend, Producer
from tests.acceptance.conftest import environment as backend_environment
from tests.acceptance.queries import rows
from tests.acceptance.test_killed_workers import await_rest, differences
from tests.acceptance.test_offers import three_carriers
from tests.processes import Process, Processes, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

MakeOrder = Callable[..., dict[str, Any]]

RECEIVER = "tests.acceptance.notice_process"
ORDERS = 60
LAZY = {
    f"NUMBER_ORDERS_{carrier}__{name}": value
    for carrier in ("BANDWIDTH", "CM")
    for name, value in (("ASK_FIRST_S", "120"), ("ASK_MAX_S", "300"), ("SETTLE_S", "0"), ("SETTLE_LOOKS", "1"))
}
"""Without notices, nobody would ask before the test is over."""


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
        return found


@pytest.fixture
def env(backend: Backend, port: int) -> dict[str, str]:
    own = {
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "NOTICE_SECRET": "a secret of forty characters, or of more",
        "NOTICE_ASKS_EVERY_S": "1",
        "BANDWIDTH__NOTICE_PASSWORD": "a password of forty characters, or more",
    }
    ours = {f"NUMBER_ORDERS_{name}": value for name, value in own.items()}
    return backend_environment(backend.ledger_url, backend.broker_url, backend.carrier) | three_carriers() | ours


def start_receiver(processes: Processes, port: int) -> Process:
    receiver = processes.module(RECEIVER, str(port))
    receiver.await_words("Application startup complete")
    return receiver


def subscribe(producer: Producer, carrier: SandboxControl) -> None:
    """Have a worker do what beat has one do every ten minutes."""
    producer.app.send_task("orders.subscribe", queue="orders.sweep")
    for _ in eventually():
        counted = carrier.report()["requests"]["by_route"]
        if sum(count["total"] for route, count in counted.items() if route.endswith("POST /subscriptions")) == 2:
            return


def orders(an_order: MakeOrder, count: int) -> list[dict[str, Any]]:
    dutch = {"country": "NLD", "number_type": "local", "npa": "010"}
    made = [an_order() for _ in range(count // 2)]
    return [*made, *(an_order(carrier="cm", criteria=dutch) for _ in range(count - len(made)))]


def test_notices_bring_ends_long_before_anybody_would_ask(
    producer: Producer, processes: Processes, carrier: SandboxControl, ledger_url: str, an_order: MakeOrder, port: int
) -> None:
    carrier.behave(processing_s=[0.5, 2], cm_review_s=[0.5, 2])
    start_receiver(processes, port)
    processes.worker(env=LAZY)
    processes.beat()
    subscribe(producer, carrier)
    began = time.monotonic()
    answer = producer.call("orders.submit_many", orders(an_order, ORDERS))
    assert len(answer["tickets"]) == ORDERS

    ended = await_rest(ledger_url, ORDERS, within_s=100)

    assert time.monotonic() - began < 110
    assert differences(ended, carrier.report()["orders"], ledger_url) == []
    assert {order["state"] for order in ended} == {"COMPLETED"}


def test_whatever_happens_to_notices_and_receiver_changes_no_end(
    producer: Producer, processes: Processes, carrier: SandboxControl, ledger_url: str, an_order: MakeOrder, port: int
) -> None:
    """Dropped, doubled, late, reordered and forged; the receiver is killed thrice. Nothing acknowledged is lost."""
    carrier.behave(
        processing_s=[0.2, 6],
        cm_review_s=[0.2, 6],
        notice_drop=0.2,
        notice_double=0.4,
        notice_delay_s=[0, 2],
        notice_forge=0.6,
    )
    receiver = start_receiver(processes, port)
    for _ in range(2):
        processes.worker()
    processes.beat()
    subscribe(producer, carrier)

    def submit() -> int:
        answer = producer.call("orders.submit_many", orders(an_order, ORDERS))
        assert answer["refused"] == []
        return len(answer["tickets"])

    total = 0
    for _ in range(3):
        total += submit()
        time.sleep(1.5)
        receiver.kill()
        time.sleep(0.5)
        receiver = start_receiver(processes, port)
    total += submit()  # a slow machine may have been without a receiver whenever a notice of the others came

    ended = await_rest(ledger_url, total, within_s=150)

    assert differences(ended, carrier.report()["orders"], ledger_url) == []
    sent = carrier.report()["callbacks"]
    acknowledged = [notice for notice in sent if notice["answer"] == 202]
    assert {notice["carrier"] for notice in acknowledged} == {"bandwidth", "cm"}
    assert {notice["forged"] for notice in acknowledged} == {True, False}
    assert any(notice["answer"] is None for notice in sent), "the receiver was never away when a notice came"
    (kept,) = rows(ledger_url, "SELECT count(*) AS notices, sum(copies) AS copies FROM notices")
    assert kept["copies"] >= len(acknowledged)
