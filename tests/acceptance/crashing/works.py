"""One worker on wires that break, with the backend it works in: orders go in, and go on until all of them have ended.

Time passes only while nobody works: what waits for it, or for a person, waits until everything else has been done.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
from kombu import Connection
from psycopg.rows import DictRow, dict_row

from number_orders.embedded.engines import Engines
from number_orders.orders.reference import derive_reference
from number_orders.sandbox.server import running_sandbox
from number_orders.sandbox.swift.access import SwiftAccount
from tests.acceptance.conftest import QUICK, Backend, Producer, environment, producing
from tests.acceptance.crashing.fate import FOLDER, Book, Sentence
from tests.acceptance.crashing.lives import STRANGERS, SUB_ACCOUNTS, Life, Sort
from tests.acceptance.swift_orders import OWN, put_on_the_account
from tests.acceptance.swift_orders import environment as swift
from tests.acceptance.test_cm import CM
from tests.acceptance.time_travel import pass_time
from tests.conftest import empty_broker, fresh_ledger
from tests.processes import Process, Processes, eventually

ONE_BY_ONE: Final = {
    **QUICK,
    **{f"{what}TIMEOUT_S": "10" for what in ("", "CONNECT_", "READ_", "POOL_")},
    "CONCURRENCY": "1",
    "BREAKER_FAULTS": "100000",  # the others' troubles are none of its own
    "SETTLE_S": "0",
    "SETTLE_LOOKS": "1",
    "ASK_FIRST_S": "0.1",
    "ASK_FACTOR": "10000",  # whoever has not ended at the first look waits until time passes
    "ASK_MAX_S": "900",
    "SLOW_ASK_MAX_S": "900",
}
SIGNED_IN: Final = {"CLIENT_ID": "", "CLIENT_SECRET": "", "TOKEN": "sandbox-token"}
"""Once and for all: fetching a token would be the I/O of whichever order came first."""
IN_STEP: Final = {
    **dict.fromkeys(("processing_s", "cm_review_s", "listing_delay_s"), 0),
    "swift_usable_s": 600,
    "latency_s": dict.fromkeys(
        ("token", "search", "order_create", "order_read", "order_list", "order_change", "numbers", "other"), 0
    ),
}
"""Everything has happened by the first look, or by the second: so all orders of a life pass the same points."""
SOON_S: Final = 60
"""Longer than any lease and any request: whoever waits longer than that is in nobody's hands."""
CHILDREN: Final = 6
QUEUE: Final = "crm"
APP: Final = "tests.acceptance.crashing.worker"


@dataclass(frozen=True, slots=True)
class Case:
    """One order, and the n-th point of its life, at which it is struck; or no point at all."""

    life: Life
    order_id: str
    n: int = 0
    sentence: Sentence | None = None

    def __str__(self) -> str:
        return f"{self.life}: {f'{self.n}, {self.sentence}' if self.sentence else 'undisturbed'}"


@dataclass
class Works:
    """A backend, a producer, and the files in which fates are written."""

    backend: Backend
    producer: Producer
    fates: Path
    db: psycopg.Connection[DictRow]
    worker: Process
    sent: int = 0
    resolved: int = 0

    def rows(self, query: str, *values: object) -> list[DictRow]:
        """Look into the ledger."""
        return self.db.execute(query.encode(), values or None).fetchall()

    def book(self, case: Case) -> Book:
        """Return what is to happen to an order, and what it has passed."""
        return Book(self.fates, case.order_id)

    def live(self, cases: Sequence[Case]) -> None:
        """Send all these orders, and follow them to their ends."""
        shelf = self._stock(Counter(sort for case in cases for sort in case.life.gives_up))
        for case in cases:
            if case.sentence:
                self.book(case).decide(case.sentence)
            if case.life.fault:
                self.backend.carrier.fault(
                    customer_order_id=derive_reference("default", case.order_id), times=1, **case.life.fault
                )
            self._send(case.life.wanted(*(next(shelf[sort]) for sort in case.life.gives_up)), case.order_id)
        self._await_ends([case.order_id for case in cases if case.life.called_back])

    def told(self) -> dict[str, list[dict[str, Any]]]:
        """Return what the producer has heard, by order."""
        heard: dict[str, list[dict[str, Any]]] = {}
        with (
            Connection(self.backend.broker_url) as connection,
            connection.SimpleQueue(QUEUE) as queue,
            suppress(queue.Empty),
        ):
            while True:
                message = queue.get(block=False)
                (document,) = message.payload[0]
                heard.setdefault(document["order_id"], []).append(document)
                message.ack()
        return heard

    def deaths(self) -> int:
        """Return how many children of the worker were killed."""
        return self.worker.said().count("exited with 'signal 9 (SIGKILL)'")

    def _send(self, wanted: dict[str, Any], order_id: str) -> None:
        order = {**wanted, "key": order_id, "notify": {"task": "crm.ended", "queue": QUEUE}}
        self.producer.app.send_task("orders.submit", [order], queue="orders", task_id=order_id)
        self.sent += 1

    def _stock(self, wanted: Mapping[Sort, int]) -> dict[Sort, Iterator[str]]:
        """Have numbers there to be given up; the young ones come last."""
        strange = list(islice(STRANGERS, wanted[Sort.STRANGE]))
        for number in strange:
            put_on_the_account(self.backend.carrier, number)
        old = {
            Sort.BANDWIDTHS: self._buy("bandwidth", wanted[Sort.BANDWIDTHS]),
            Sort.SWIFTS: self._buy("swift", wanted[Sort.SWIFTS]),
        }
        self._await_ends()
        pass_time(self.backend, hours=1)
        young = {Sort.YOUNG: self._buy("swift", wanted[Sort.YOUNG])}
        self._await_ends()
        bought = {sort: iter(self._numbers(order_id)) for sort, order_id in (old | young).items()}
        return {**bought, Sort.STRANGE: iter(strange)}

    def _buy(self, carrier: str, quantity: int) -> str:
        order_id = str(uuid4())
        wanted = {"carrier": carrier, "kind": "new_numbers", "criteria": {"npa": "984"}, "quantity": max(quantity, 1)}
        self._send(wanted, order_id)
        return order_id

    def _numbers(self, order_id: str) -> list[str]:
        return [row["e164"] for row in self.rows("SELECT e164 FROM order_numbers WHERE order_id = %s", order_id)]

    def _await_ends(self, called_back: Sequence[str] = ()) -> None:
        for _ in range(20):
            self._await_rest()
            self._resolve_parked()
            if not self.rows("SELECT FROM orders WHERE ended_at IS NULL LIMIT 1"):
                return
            self._call_back(called_back)
            self._await_rest()
            pass_time(self.backend, minutes=16)  # until the next look, and well within the taint window
        raise AssertionError(self.rows("SELECT order_id, state, reason FROM orders WHERE ended_at IS NULL"))

    def _await_rest(self) -> None:
        """Sweep as beat does, until nobody has or will soon have anything to do."""
        looking = """SELECT (SELECT count(*) FROM orders) AS orders, count(*) AS soon
                     FROM owed WHERE not_before < now() + make_interval(secs => %s)"""
        for _ in eventually(within_s=1200, every_s=0.5):
            (found,) = self.rows(looking, SOON_S)
            if (found["orders"], found["soon"]) == (self.sent, 0):
                return
            self.producer.app.send_task("orders.sweep", queue="orders.sweep", expires=2, ignore_result=True)

    def _resolve_parked(self) -> None:
        """As a person who has looked: send again what the carrier never had."""
        parked = {
            row["reference"]: str(row["order_id"])
            for row in self.rows("SELECT order_id, reference FROM orders WHERE state = 'PARKED'")
        }
        sold = {order["customer_order_id"] for order in self.backend.carrier.report()["orders"]} if parked else set()
        assert sold.isdisjoint(parked), "a person is asked about what was bought"
        for order_id in parked.values():
            self.producer.call("orders.resolve", order_id, "sent_again", "it is not there", "ana")
        self.resolved += len(parked)
        if parked:
            self._await_rest()

    def _call_back(self, order_ids: Sequence[str]) -> None:
        unasked = """SELECT order_id FROM orders
                     WHERE order_id = ANY(%s::uuid[]) AND ended_at IS NULL AND cancel_asked_at IS NULL"""
        for row in self.rows(unasked, list(order_ids)):
            self.producer.app.send_task("orders.cancel", [str(row["order_id"]), "ana", "not wanted"], queue="orders")
        for _ in eventually():
            if not self.rows(unasked, list(order_ids)):
                return


@contextmanager
def works(engines: Engines, folder: Path) -> Iterator[Works]:
    """Open the backend, with one worker and no beat: who sweeps is the test."""
    swift_account = SwiftAccount(sub_accounts=SUB_ACCOUNTS, messaging_accounts=(OWN, *SUB_ACCOUNTS))
    with fresh_ledger(engines) as ledger_url, running_sandbox(swift=swift_account) as carrier:
        carrier.behave(**IN_STEP)
        backend = Backend(ledger_url, empty_broker(engines), carrier)
        fates = folder / "fates"
        fates.mkdir()
        env = environment(ledger_url, backend.broker_url, carrier) | swift(**ONE_BY_ONE)
        env |= {f"NUMBER_ORDERS_BANDWIDTH__{name}": value for name, value in {**SIGNED_IN, **ONE_BY_ONE}.items()}
        env |= {f"NUMBER_ORDERS_CM__{name}": value for name, value in {**CM, **ONE_BY_ONE}.items()}
        env |= {FOLDER: str(fates), "NUMBER_ORDERS_CHILDREN": str(CHILDREN)}
        with (
            Processes(folder / "log", env) as running,
            producing(backend.broker_url) as producer,
            psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db,
        ):
            yield Works(backend, producer, fates, db, running.worker(children=CHILDREN, app=APP))
