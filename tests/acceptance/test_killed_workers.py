"""Workers are killed without a word while they work, and the carrier loses answers after it has acted.

Bought once, ended truly, every order, every time.
"""

import random
import threading
import time
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import TimeoutError as NoTicket

from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import MakeOrder, Producer
from tests.acceptance.queries import rows
from tests.processes import Processes, eventually

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    # The producer's thread ends with sockets open: Celery's results keep theirs per thread and never close them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PATIENT = {f"NUMBER_ORDERS_BANDWIDTH__{name}_TIMEOUT_S": "60" for name in ("CONNECT", "READ", "POOL")} | {
    "NUMBER_ORDERS_BANDWIDTH__TIMEOUT_S": "60"
}
"""For carriers that always answer: nothing is given up, however busy the machine is."""
KILLS = 20
ENDS = ("919", "919", "919", "808", "406", "802")
"""Area codes by how orders there end: mostly well, some partly, not at all, or with errors."""


@pytest.mark.timeout(1200)
def test_killed_at_twenty_random_moments_every_order_is_bought_once_and_ends_truly(
    producer: Producer,
    processes: Processes,
    carrier: SandboxControl,
    ledger_url: str,
    an_order: MakeOrder,
) -> None:
    """SIGKILL for whole workers and for main processes alone, under load, with answers lost before and after."""
    dice = random.Random(20261122)
    lose_answers(carrier)
    processes.beat()
    workers = [processes.worker(), processes.worker()]
    load = Load(producer, an_order, dice)
    load.start()
    for turn in range(KILLS):
        time.sleep(dice.uniform(0.05, 1.2))
        doomed = workers.pop(0)
        (doomed.kill if turn % 3 else doomed.kill_leader)()
        workers.append(processes.worker(wait=bool(turn % 2)))
    tickets = load.finish(at_least=6 * KILLS)
    orders = await_rest(ledger_url, len(tickets))

    report = carrier.report()
    assert report["duplicates"] == {"customer_order_ids": {}, "numbers": {}}
    assert {order["order_id"] for order in orders} == tickets
    assert differences(orders, report["orders"], ledger_url) == []
    assert sum(order["losses"] for order in orders) > KILLS / 2, "too few answers were lost to prove anything"


@pytest.mark.timeout(600)
def test_a_warm_shutdown_under_load_leaves_nothing_in_doubt(
    producer: Producer, processes: Processes, carrier: SandboxControl, ledger_url: str, an_order: MakeOrder
) -> None:
    """SIGTERM: what was begun is finished, what was not is left to others, and no answer is lost."""
    carrier.behave(latency_s={"order_create": [0.1, 0.5]})
    processes.beat()
    first = processes.worker(env=PATIENT)
    answer = producer.call("orders.submit_many", [an_order() for _ in range(200)])
    assert len(answer["tickets"]) == 200
    assert first.stop() == 0
    assert states(ledger_url).get("SUBMITTING", 0) == 0
    processes.worker(env=PATIENT)
    orders = await_rest(ledger_url, 200)
    assert {(order["state"], order["sends"], order["losses"]) for order in orders} == {("COMPLETED", 1, 0)}


def lose_answers(carrier: SandboxControl) -> None:
    """Let one POST in five go unanswered, one way or another."""
    faults = {"drop_after": 0.08, "drop_before": 0.04, "error_after": 0.04, "hang_after": 0.02, "timeout_400": 0.02}
    for seed, (fault, probability) in enumerate(faults.items()):
        carrier.fault(fault, method="POST", path="/orders", probability=probability, seed=seed)


class Load(threading.Thread):
    """A producer that goes on ordering, and sends again, with the same key, what it got no ticket for."""

    def __init__(self, producer: Producer, an_order: MakeOrder, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self._producer, self._an_order, self._dice = producer, an_order, dice
        self._over = threading.Event()
        self._tickets: set[str] = set()
        self._trouble: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._over.wait(0.1):
                self._order_some(self._dice.randint(1, 16))
        except BaseException as trouble:
            self._trouble = trouble
            raise

    def finish(self, *, at_least: int) -> set[str]:
        """Stop once there has been enough of it, and return the ids of all orders for which there is a ticket."""
        for _ in eventually(within_s=300):
            if len(self._tickets) >= at_least or not self.is_alive():
                break
        self._over.set()
        self.join(timeout=300)
        assert not self.is_alive()
        assert self._trouble is None
        return self._tickets

    def _order_some(self, count: int) -> None:
        orders = [self._an_order(criteria={"npa": self._dice.choice(ENDS)}, quantity=2) for _ in range(count)]
        while orders:
            sent = [
                (order, self._producer.app.send_task("orders.submit", [order], queue="orders", task_id=str(uuid4())))
                for order in orders
            ]
            orders = []
            for order, waiting in sent:
                try:
                    self._tickets.add(waiting.get(timeout=10)["order_id"])
                except NoTicket:
                    orders.append(order)


_ORDERS = """SELECT order_id::text, coalesce(reference, order_id::text) AS reference, state, sends, losses, reason
             FROM orders"""


def await_rest(url: str, count: int, within_s: float = 300) -> list[dict[str, Any]]:
    """Wait until `count` orders are in the ledger and none is under way."""
    until = time.monotonic() + within_s
    while True:
        orders = rows(url, _ORDERS)
        unfinished = [order for order in orders if order["state"] in {"ACCEPTED", "SUBMITTING", "IN_DOUBT", "OPEN"}]
        if len(orders) == count and not unfinished:
            return orders
        assert time.monotonic() < until, (len(orders), count, unfinished[:5])
        time.sleep(0.2)


def differences(orders: list[dict[str, Any]], sold: list[dict[str, Any]], url: str) -> list[str]:
    """Compare our ends with the carrier's truth, order by order and number by number."""
    truth = {order["customer_order_id"]: order for order in sold}
    got: dict[str, set[str]] = {}
    for row in rows(url, "SELECT order_id::text, e164 FROM order_numbers WHERE state = 'acquired'"):
        got.setdefault(row["order_id"], set()).add(row["e164"])
    wrong = []
    for order in orders:
        theirs = truth.get(order["reference"])
        if theirs is None and order["state"] == "PARKED" and order["sends"] == order["losses"]:
            continue  # killed three times between begin and send: nothing was bought, and a person decides
        if theirs is None:
            wrong.append(f"{order['order_id']} is {order['state']} and the carrier never had it: {order['reason']}")
        elif (order["state"], got.get(order["order_id"], set())) != (true_end(theirs), set(theirs["bought"])):
            wrong.append(f"{order} but the carrier says {theirs}")
    return wrong


def true_end(sold: dict[str, Any]) -> str:
    """How an order should end with us: as it did with the carrier, which may say done and report errors."""
    return "COMPLETED_WITH_ERRORS" if sold["fate"] == "with_errors" else str(sold["outcome"])


def states(url: str) -> dict[str, int]:
    return {row["state"]: row["n"] for row in rows(url, "SELECT state, count(*) AS n FROM orders GROUP BY state")}
