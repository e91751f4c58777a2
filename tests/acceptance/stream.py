"""A producer that goes on ordering whatever happens: all carriers, every kind, every end."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import uuid4

import redis
from celery import Celery
from celery.backends.redis import RedisBackend
from celery.result import AsyncResult
from kombu.exceptions import OperationalError
from sqlalchemy.exc import SQLAlchemyError

from number_orders.cli.demo import bandwidth_orders as bandwidth
from number_orders.cli.demo import cm_orders as cm
from number_orders.cli.demo import swift_orders as swift
from tests.acceptance.receiver import QUEUE, TASK
from tests.processes import eventually

Body = dict[str, Any]
Document = Mapping[str, Any]

_EVERY_S: Final = 0.04
_UNANSWERED_MAX: Final = 40
"""With so many orders without a ticket, no new one is made until some have theirs."""
_AGAIN_AFTER_S: Final = 10.0
_GIVEN_BACK_EVERY_S: Final = 0.5
_BROKER_TROUBLE: Final = (OperationalError, redis.RedisError, OSError, SQLAlchemyError)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be ordered, and whether its numbers are to be given back once there are some."""

    body: Body
    given_back: bool = False


def wishes(seed: int, orders: int = 600) -> Iterator[Wish]:
    """Yield orders to all carriers for ever, shuffled, with ends of every sort; so many before any comes again."""
    for turn in count():
        dice = Random(seed + turn)
        from_swift = [body for _ in range(2) for body in swift.plan(orders, dice).brought]
        from_bandwidth = bandwidth.bodies(orders, dice)
        mixed = [
            *(Wish(_to("swift", body), given_back=dice.random() < 0.5) for body in from_swift),
            *(Wish(_to("cm", body)) for body in cm.bodies(orders // 10, dice)),
            *(Wish(_to("bandwidth", body), "numbers" in body and dice.random() < 0.3) for body in from_bandwidth),
        ]
        dice.shuffle(mixed)
        yield from mixed


def _to(carrier: str, body: Body) -> Body:
    return {"carrier": carrier, "kind": "new_numbers", **body}


class Told:
    """What the receiver was told, from the file that it keeps."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def heard(self) -> dict[str, list[Document]]:
        """Return what was told of each order, in the order in which it came; a half-written line is left out."""
        documents: defaultdict[str, list[Document]] = defaultdict(list)
        whole = self.file.read_text().rpartition("\n")[0] if self.file.exists() else ""
        for line in whole.splitlines():
            document = json.loads(line)
            documents[document["order_id"]].append(document)
        return dict(documents)

    def ends(self) -> dict[str, Document]:
        """Return the end that was told of each order."""
        return {order_id: said[-1] for order_id, said in self.heard().items() if said[-1]["final"]}


@dataclass(slots=True)
class _Sent:
    """An order on its way to its ticket."""

    wish: Wish
    order_id: str
    due: float = 0.0
    times: int = 0


@dataclass(slots=True)
class _Given:
    """What was got so far, for whoever looks from another thread."""

    tickets: dict[str, str] = field(default_factory=dict)
    """Order ids by key."""
    made: int = 0
    refused_by_broker: int = 0
    sent_again: int = 0


class Stream(threading.Thread):
    """A producer at work in a thread, until it is told to finish.

    It knows the broker, Celery and the task's name. What it got no ticket for, it sends again with the same key.
    """

    def __init__(
        self,
        broker_url: str,
        told: Told,
        orders: Iterator[Wish],
        name: str,
        *,
        result_url: str | None = None,
        conf: Mapping[str, Any] | None = None,
    ) -> None:
        """`conf` is what a producer must tell Celery on this broker."""
        super().__init__(name=f"stream-{name}", daemon=True)
        self._producer = name
        self._orders = orders
        self._told = told
        # A broker that is away is noticed at once. Tickets are looked for by a second application, since Celery
        # subscribes for each of them otherwise, and its subscriptions do not outlive a broker.
        impatient = {"max_retries": 0, "socket_timeout": 5, "socket_connect_timeout": 3}
        self._sender = Celery("sender", broker=broker_url, set_as_current=False)
        self._sender.conf.update(conf or {})
        self._sender.conf.broker_transport_options = {**impatient, **self._sender.conf.broker_transport_options}
        self._answers = Celery("answers", backend=result_url or broker_url, set_as_current=False)
        self._answers.conf.update({"redis_socket_timeout": 5, **(conf or {})})
        self._unanswered: list[_Sent] = []
        self._to_give_back: dict[str, Wish] = {}
        self._given_back_at = 0.0
        self._over = threading.Event()
        self._abandoned = threading.Event()
        self._trouble: BaseException | None = None
        self.given = _Given()

    def run(self) -> None:
        try:
            while not self._over.is_set() or (self._unanswered and not self._abandoned.is_set()):
                if not self._over.is_set() and len(self._unanswered) < _UNANSWERED_MAX:
                    self._order(self._next())
                self._look()
                time.sleep(_EVERY_S)
        except BaseException as trouble:
            self._trouble = trouble
            raise
        finally:
            self._close()

    def await_tickets(self, more: int) -> None:
        """Wait until so many more orders have their tickets, of those that are made from now on."""
        behind = self.given.made
        for _ in eventually(within_s=240):
            self._see_that_it_works()
            if len(self.given.tickets) >= behind + more:
                break

    def finish(self) -> dict[str, str]:
        """Make no more orders; return the ids by key once there is a ticket for each."""
        self._over.set()
        self.join(timeout=240)
        self._see_that_it_works()
        assert not self.is_alive(), f"no ticket for {[sent.order_id for sent in self._unanswered]}"
        return dict(self.given.tickets)

    def abandon(self) -> None:
        """Stop, whatever is still without a ticket: the test has failed already."""
        self._abandoned.set()
        self._over.set()
        self.join(timeout=60)

    def _see_that_it_works(self) -> None:
        if self._trouble is not None:
            raise AssertionError("the producer broke") from self._trouble

    def _next(self) -> Wish:
        """Return a removal of what has come meanwhile, or the next order."""
        if time.monotonic() >= self._given_back_at + _GIVEN_BACK_EVERY_S and self._to_give_back:
            self._given_back_at = time.monotonic()
            ends = self._told.ends()
            for order_id, wish in list(self._to_give_back.items()):
                if end := ends.get(order_id):
                    del self._to_give_back[order_id]
                    if numbers := [one["e164"] for one in end["numbers"] if one["state"] in {"acquired", "usable"}]:
                        return Wish(_removal(wish.body, numbers))
        return next(self._orders)

    def _order(self, wish: Wish) -> None:
        self.given.made += 1
        key = f"{self._producer}-{self.given.made:03}"
        sent = _Sent(Wish({"key": key, **wish.body, "notify": {"task": TASK, "queue": QUEUE}}), str(uuid4()))
        if wish.given_back:
            self._to_give_back[sent.order_id] = wish
        self._unanswered.append(sent)
        self._send(sent)

    def _send(self, sent: _Sent) -> None:
        kwargs = {"order": sent.wish.body, "producer": self._producer}
        sent.due = time.monotonic() + _AGAIN_AFTER_S * 2**sent.times
        try:
            self._sender.send_task("orders.submit", kwargs=kwargs, queue="orders", task_id=sent.order_id, retry=False)
        except _BROKER_TROUBLE:
            self.given.refused_by_broker += 1
            sent.due = time.monotonic() + 1.0
            return
        self.given.sent_again += sent.times > 0
        sent.times += 1

    def _look(self) -> None:
        """Take the tickets that have come, and send again what has waited long enough for one."""
        try:
            self._unanswered = [sent for sent in self._unanswered if not self._is_answered(sent)]
        except _BROKER_TROUBLE:
            return  # nobody can be asked now; the same will be asked again
        for sent in self._unanswered:
            if time.monotonic() >= sent.due:
                self._send(sent)

    def _is_answered(self, sent: _Sent) -> bool:
        answer: AsyncResult[Any] = self._answers.AsyncResult(sent.order_id)
        if not answer.ready():
            return False
        if answer.failed():
            assert "order refused" not in str(answer.result), (sent.wish.body, answer.result)
            answer.forget()  # the service could not tell; the order is sent again in its time
            return False
        ticket: Any = answer.result
        self.given.tickets[sent.wish.body["key"]] = ticket["order_id"]
        return True

    def _close(self) -> None:
        self._sender.close()
        backend: Any = self._answers.backend  # the stubs know the base class only
        if isinstance(backend, RedisBackend):
            backend.client.connection_pool.disconnect()
        self._answers.close()


def _removal(body: Body, numbers: list[str]) -> Body:
    of = {"account": body["account"]} if "account" in body else {}
    return {"carrier": body["carrier"], "kind": "remove_numbers", "numbers": numbers, **of}
