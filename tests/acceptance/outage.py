"""One outage under load: orders flow, something breaks and is mended, and every order is followed to its end.

What was ordered before, meanwhile and afterwards is compared with the carriers' own books, number by number.
"""

import signal
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import redis

from number_orders.cli.demo.ledger_view import LedgerReader
from number_orders.cli.demo.verdict import Document, judge
from number_orders.embedded.supervisor import ProcessEvent
from tests.acceptance.conftest import Producer, producing
from tests.acceptance.installation import WORKERS, Installation
from tests.acceptance.queries import rows
from tests.acceptance.receiver import QUEUE
from tests.acceptance.stream import Stream
from tests.invariants import broken_promises
from tests.processes import eventually

_UNFINISHED: Final = ("ACCEPTED", "SUBMITTING", "IN_DOUBT", "OPEN")
_BEFORE: Final = 20
_UNDER_WAY: Final = 8
_AFTER: Final = 15
"""So many orders are accepted before it begins, have not ended then, and are ordered after it is over, at least."""


@dataclass
class Figures:
    """What an outage came to."""

    under_way: Mapping[str, int]
    """How many orders had not ended when it began, by state."""
    killed: int = 0
    orders: int = 0
    errors: int = 0
    """How often the broker took no order."""
    sent_again: int = 0
    accepts_after_s: float = 0.0
    ends_after_s: float = 0.0
    asked: int = 0
    decided: int = 0
    gave_up: Sequence[str] = ()
    """Processes that ended by themselves, and were started anew."""

    def __str__(self) -> str:
        """Return all of it in a line, to be read at the end of a run."""
        under_way = ", ".join(f"{count} {state}" for state, count in self.under_way.items())
        told = {
            "orders": self.orders,
            "under way": under_way,
            "killed": self.killed,
            "gave up by themselves": ", ".join(self.gave_up) or "none",
            "not taken by the broker": self.errors,
            "sent again": self.sent_again,
            "next accepted, ended after": f"{self.accepts_after_s:.1f} s, {self.ends_after_s:.1f} s",
            "asked for instead of told": self.asked,
            "decided by a person": self.decided,
            "lost, bought twice": "0, 0",
        }
        return "; ".join(f"{what}: {figure}" for what, figure in told.items())


class Outage:
    """`with Outage(place, "what") as outage: break it; mend it; outage.is_over()`. Leaving follows every order."""

    def __init__(self, place: Installation, name: str, *, broker_forgets: bool = False) -> None:
        """`broker_forgets` says that a message may be lost in the broker, or on its way from there to the receiver."""
        self._place = place
        self._broker_forgets = broker_forgets
        self._name = name
        self._asked: dict[str, list[Document]] = {}
        self._stream = Stream(place.engines.broker_url, place.told, place.orders, name)
        self._said_before: Mapping[str, str] = {}
        self._said_when_over: Mapping[str, str] = {}
        self._exits_before = 0
        self._over_at: datetime | None = None
        self.figures = Figures({})

    def __enter__(self) -> Self:
        self._stream.start()
        try:
            self._stream.await_tickets(_BEFORE)
            for _ in eventually():
                self.figures.under_way = self._under_way()
                if sum(self.figures.under_way.values()) >= _UNDER_WAY:
                    break
        except BaseException:
            self._stream.abandon()
            raise
        self._said_before = self._place.said()
        self._exits_before = len(self._place.exits)
        return self

    def __exit__(self, trouble: type[BaseException] | None, *_: object) -> None:
        if trouble is not None:
            self._stream.abandon()
            return
        assert self._over_at is not None, "say when it is_over()"
        self._stream.await_tickets(_AFTER)
        self._see_everybody_at_work()
        tickets = self._stream.finish()
        with producing(self._place.engines.broker_url) as producer:
            self._await_ends(producer, set(tickets.values()))
            self._ask_for_what_was_not_told(producer, set(tickets.values()))
        self._count(self._over_at, len(tickets))
        self._judge(tickets)

    def _see_everybody_at_work(self) -> None:
        """Wait until every worker has moved orders since it was over: one that stays away is hidden by the others."""
        for _ in eventually(within_s=240):
            said = self._place.said()
            if all('"order_moved"' in said[name][len(self._said_when_over[name]) :] for name in WORKERS):
                return

    def await_words(self, words: str) -> None:
        """Wait until workers or beat have said this since it began."""
        for _ in eventually():
            if words in self.said():
                break

    def said(self) -> str:
        """Return what workers and beat have said since it began."""
        return "".join(said[len(self._said_before.get(name, "")) :] for name, said in self._place.said().items())

    def traces(self) -> int:
        """Count the traces in what was said: trouble that was foreseen is worth a line each."""
        return self.said().count("Traceback")

    def exits(self) -> set[tuple[str, int | None]]:
        """Return which processes have ended since it began, and how."""
        return {(event.name, event.returncode) for event in self._exited()}

    def is_over(self) -> None:
        """From here on nothing is broken any more."""
        (row,) = self._rows("SELECT clock_timestamp() AS now")
        self._over_at = row["now"]
        self._said_when_over = self._place.said()

    def _under_way(self) -> dict[str, int]:
        query = "SELECT state, count(*) AS n FROM orders WHERE state = ANY(%s) GROUP BY state ORDER BY state"
        return {row["state"]: row["n"] for row in self._rows(query, list(_UNFINISHED))}

    def _await_ends(self, producer: Producer, order_ids: set[str]) -> None:
        """Wait until every order is at its end and told; what is a person's to decide is decided."""
        for _ in eventually(within_s=240):
            orders = self._orders()
            self._decide(producer, [order for order in orders.values() if order["state"] == "PARKED"])
            ended = {order_id for order_id, order in orders.items() if order["ended_at"]}
            if order_ids <= ended and self._all_is_told():
                return

    def _ask_for_what_was_not_told(self, producer: Producer, order_ids: set[str]) -> None:
        """Wait until the receiver has heard of every order, but for those of which a message may be lost."""
        orders = self._orders()
        with redis.Redis.from_url(self._place.engines.broker_url) as broker:
            for _ in eventually(within_s=240):
                empty = not broker.llen(QUEUE)
                untold = order_ids - self._place.told.ends().keys()
                if empty and all(self._may_be_forgotten(orders[order_id]) for order_id in untold):
                    self._asked = {order_id: [producer.call("orders.get", order_id)] for order_id in untold}
                    return

    def _orders(self) -> dict[str, dict[str, Any]]:
        found = self._rows("SELECT * FROM orders WHERE starts_with(key, %s)", f"{self._name}-")
        return {str(row["order_id"]): row for row in found}

    def _all_is_told(self) -> bool:
        """Tell whether the broker was handed every document."""
        return not self._rows("SELECT FROM tellings WHERE told_at IS NULL LIMIT 1")

    def _may_be_forgotten(self, order: Mapping[str, Any]) -> bool:
        """Only what ended before the broker was whole again may have been handed to it in vain."""
        return self._broker_forgets and self._over_at is not None and order["ended_at"] < self._over_at

    def _decide(self, producer: Producer, parked: Iterable[Mapping[str, Any]]) -> None:
        """Look each order up at the carrier, as a person would, and say what to do."""
        for order in parked:
            order_id = str(order["order_id"])
            sold = self._place.carrier.report()["orders"]
            there = [one for one in sold if one["customer_order_id"] == order["reference"]]
            decision = {"carrier_order_id": there[0]["order_id"]} if there else {}
            told = {"order_id": order_id, "as_": "adopted" if there else "sent_again", "by": "test", **decision}
            self.figures.decided += 1
            said = {**told, "why": f"decision {self.figures.decided}: looked up at the carrier"}
            producer.app.send_task("orders.resolve", kwargs=said, queue="orders.operators").get(timeout=60)

    def _count(self, over_at: datetime, orders: int) -> None:
        query = "SELECT min(accepted_at) AS accepted, min(ended_at) AS ended FROM orders WHERE accepted_at > %s"
        (row,) = self._rows(query, over_at)
        figures, given = self.figures, self._stream.given
        figures.accepts_after_s = (row["accepted"] - over_at).total_seconds()
        figures.ends_after_s = (row["ended"] - over_at).total_seconds()
        figures.asked = len(self._asked)
        figures.orders, figures.errors, figures.sent_again = orders, given.refused_by_broker, given.sent_again
        gave_up = Counter(event.name for event in self._exited() if event.returncode != -signal.SIGKILL)
        figures.gave_up = [f"{name} ({times} times)" for name, times in sorted(gave_up.items())]

    def _judge(self, tickets: Mapping[str, str]) -> None:
        """Compare what was ordered here with the carriers' books, and with what was told."""
        with LedgerReader(self._place.engines.database_url) as books:
            known = {order_id: entry.document for order_id, entry in books.entries().items()}
        ours = {order_id: said for order_id, said in known.items() if said["key"].startswith(f"{self._name}-")}
        report = self._place.carrier.report()
        others = known.keys() - ours.keys()
        theirs = {known[order_id]["reference"] for order_id in others}
        sold = [order for order in report["orders"] if order["customer_order_id"] not in theirs]
        verdict = judge(
            tickets={key: {order_id} for key, order_id in tickets.items()},
            ours=ours,
            heard={**self._place.told.heard(), **self._asked},
            report={**report, "orders": sold},
        )
        assert verdict.wrongs == []
        assert verdict.numbers_compared > len(ours) / 2
        assert broken_promises(self._place.engines.database_url) == []

    def _exited(self) -> Sequence[ProcessEvent]:
        return self._place.exits[self._exits_before :]

    def _rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        return rows(self._place.engines.database_url, query, *values)
