"""The ledger's tables in memory, with the constraints that carry its promises.

Mirrors `ledger/schema.sql`. `simulation.statements` holds what the statements do to the tables; one test suite runs
over these and over PostgreSQL.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Final
from uuid import UUID

from psycopg import errors

from number_orders.orders.model import Lane, State

Row = dict[str, Any]

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_NEXT_STEPS: Final = (Lane.SUBMIT.value, Lane.ASK.value)


@dataclass(slots=True)
class Tables:
    """Every table as plain rows. `clock` is `now()`: the ledger's time, which is everybody's."""

    clock: Callable[[], datetime]
    orders: dict[UUID, Row] = field(default_factory=dict)
    numbers: dict[UUID, dict[str, Row]] = field(default_factory=dict)
    events: dict[UUID, list[Row]] = field(default_factory=dict)
    receipts: list[Row] = field(default_factory=list)
    owed: dict[tuple[UUID, str], Row] = field(default_factory=dict)
    turns: dict[tuple[str, str], Row] = field(default_factory=dict)
    held: list[Row] = field(default_factory=list)
    tellings: list[Row] = field(default_factory=list)
    lanes: dict[tuple[str, str], Row] = field(default_factory=dict)
    pauses: list[Row] = field(default_factory=list)
    budgets: dict[tuple[str, str], Row] = field(default_factory=dict)
    draws: dict[tuple[str, str, str], str] = field(default_factory=dict)
    breakers: dict[str, Row] = field(default_factory=dict)
    alarms: dict[tuple[str, str], Row] = field(default_factory=dict)
    letters: list[Row] = field(default_factory=list)
    keys: dict[tuple[str, str], UUID] = field(default_factory=dict)
    _identities: Iterator[int] = field(default_factory=lambda: count(1))
    _holding: dict[str, Row] = field(default_factory=dict)
    _carrier_orders: dict[tuple[str, str], UUID] = field(default_factory=dict)

    def identity(self) -> int:
        """Return the next number that no row has."""
        return next(self._identities)

    # Orders

    def insert_order(self, row: Row) -> None:
        """Write a new order down; its key and its id are free."""
        order_id = row["order_id"]
        self.orders[order_id] = row
        self.keys[row["producer"], row["key"]] = order_id
        self.numbers[order_id] = {}
        self.events[order_id] = []

    def owner(self, carrier: str, carrier_order_id: str | None) -> UUID | None:
        """Return the order that a carrier's order belongs to."""
        return self._carrier_orders.get((carrier, carrier_order_id or ""))

    def move(self, moves: list[tuple[Row, Row]]) -> None:
        """Change orders, all of them or none.

        Raises:
            psycopg.errors.IntegrityError: A constraint will not have one of them.
        """
        taken = dict(self._carrier_orders)
        for order, change in moves:
            changed = {**order, **change}
            _check_order(changed)
            key = (changed["carrier"], changed["carrier_order_id"])
            if key[1] is not None and taken.setdefault(key, order["order_id"]) != order["order_id"]:
                raise errors.UniqueViolation("duplicate key value violates one_order_per_carrier_order")
        for order, change in moves:
            self._carrier_orders.pop((order["carrier"], order["carrier_order_id"] or ""), None)
            order.update(change)
            if order["carrier_order_id"] is not None:
                self._carrier_orders[order["carrier"], order["carrier_order_id"]] = order["order_id"]

    # Debts

    def work_items(self, order_id: UUID) -> list[Row]:
        """Return what an order is owed."""
        rows = (self.owed.get((order_id, lane.value)) for lane in Lane)
        return [row for row in rows if row is not None]

    def owe(self, order: Row, effect: Row) -> None:
        """Owe something: a new work_item, or the old one anew."""
        order_id = order["order_id"]
        lane, not_before = effect["lane"], datetime.fromisoformat(effect["not_before"])
        row = self.owed.get((order_id, lane))
        if row is None:
            self.owed[order_id, lane] = a_work_item(order, lane, not_before, effect["reason"])
            return
        # A telling under way is not interrupted, or a later document could overtake it.
        told_now = lane == Lane.TELL and row["lease_token"] is not None
        row.update(reason=effect["reason"], attempts=0, turn=row["turn"] + 1, serial_key=None)
        row.update({} if told_now else {"not_before": not_before, "lease_token": None})

    def settle(self, order_id: UUID, lanes_kept: set[str]) -> None:
        """Drop what an order was owed of next steps, but for those that are owed anew."""
        for lane in _NEXT_STEPS:
            if lane not in lanes_kept:
                self.owed.pop((order_id, lane), None)

    # What holds work back

    def pause(self, carrier: str, lane: str) -> Row | None:
        """Return who has paused a lane, unless somebody has let it go on."""
        standing = (row for row in self.pauses if row["resumed_at"] is None)
        return next((row for row in standing if (row["carrier"], row["lane"]) == (carrier, lane)), None)

    def breaker(self, carrier: str, lane: str) -> Row | None:
        """Return how a carrier can be reached. Producers are told whether or not it can."""
        return None if lane == Lane.TELL else self.breakers.get(carrier)

    def budget(self, work_item: Row) -> Row | None:
        """Return the limit that a work_item draws on."""
        return self.budgets.get(
            (work_item["carrier"], self.draws.get((work_item["carrier"], work_item["lane"], work_item["kind"]), ""))
        )

    # Numbers

    def hold(self, e164: str, order: Row) -> None:
        """Note who got a number, unless somebody holds it already."""
        if e164 not in self._holding:
            row = {"e164": e164, "carrier": order["carrier"], "acquired_by": order["order_id"]}
            row |= {"acquired_at": self.clock(), "released_by": None, "released_at": None}
            self._holding[e164] = row
            self.held.append(row)

    def let_go(self, e164: str, order: Row) -> None:
        """Note that a number is given up, if it is held at this order's carrier."""
        row = self._holding.get(e164)
        if row is not None and row["carrier"] == order["carrier"]:
            del self._holding[e164]
            row.update(released_by=order["order_id"], released_at=max(self.clock(), row["acquired_at"]))

    def holder(self, e164: str) -> Row | None:
        """Return who holds a number now."""
        return self._holding.get(e164)


def a_work_item(order: Row, lane: str, not_before: datetime, reason: str | None) -> Row:
    """Return a work_item nobody has looked at yet."""
    row = {name: order[name] for name in ("order_id", "carrier", "kind")}
    row |= {"lane": lane, "not_before": not_before, "reason": reason}
    return row | {"lease_token": None, "attempts": 0, "turn": 0, "serial_key": None}


def check_e164(e164: str) -> None:
    """Refuse what is no number.

    Raises:
        psycopg.errors.CheckViolation: It is none.
    """
    if not _E164.fullmatch(e164):
        raise errors.CheckViolation(f"{e164!r} violates order_numbers_e164_check")


def _check_order(row: Row) -> None:
    state = State(row["state"])
    broken = {
        "ended_means_final": (row["ended_at"] is not None) != state.is_final,
        "open_means_known": state is State.OPEN and row["carrier_order_id"] is None,
        "doubt_has_a_beginning": state is State.IN_DOUBT and row["doubt_since"] is None,
        "sent_before_lost": row["losses"] > row["sends"],
    }
    for constraint, is_broken in broken.items():
        if is_broken:
            raise errors.CheckViolation(f"order {row['order_id']} violates {constraint}")
