"""The ledger's tables in memory, with the constraints of `ledger/schema.sql`.

What the statements do to them is in `simulation.statements`. One test suite runs on these tables and on PostgreSQL.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
    """Every table as plain rows. `clock` is `now()`: the ledger's time, which every process uses."""

    clock: Callable[[], datetime]
    orders: dict[UUID, Row] = field(default_factory=dict)
    numbers: dict[UUID, dict[str, Row]] = field(default_factory=dict)
    events: dict[UUID, list[Row]] = field(default_factory=dict)
    receipts: list[Row] = field(default_factory=list)
    owed: dict[tuple[UUID, str], Row] = field(default_factory=dict)
    serial_locks: dict[tuple[str, str], Row] = field(default_factory=dict)
    """Table `turns`: the order that has each lock, by carrier and key."""
    held: list[Row] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    """Table `tellings`."""
    webhook_deliveries: dict[UUID, Row] = field(default_factory=dict)
    webhook_hosts: dict[tuple[str, str], Row] = field(default_factory=dict)
    """By producer and host."""
    webhook_secrets: list[Row] = field(default_factory=list)
    lanes: dict[tuple[str, str], Row] = field(default_factory=dict)
    pauses: list[Row] = field(default_factory=list)
    budgets: dict[tuple[str, str], Row] = field(default_factory=dict)
    limit_groups: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Table `draws`: the limit group, by carrier, lane and kind."""
    breakers: dict[str, Row] = field(default_factory=dict)
    readings: dict[int, Row] = field(default_factory=dict)
    """With the numbers of each: table `listed_numbers`."""
    list_questions: dict[tuple[UUID, str, str], Row] = field(default_factory=dict)
    notices: dict[tuple[str, str], Row] = field(default_factory=dict)
    """By carrier and digest."""
    alarms: dict[tuple[str, str], Row] = field(default_factory=dict)
    dead_letters: list[Row] = field(default_factory=list)
    allowances: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    """By producer, carrier and span."""
    allowance_corrections: list[Row] = field(default_factory=list)
    coverage: list[Row] = field(default_factory=list)
    scheduled_runs: dict[str, Row] = field(default_factory=dict)
    reconciliations: dict[str, Row] = field(default_factory=dict)
    producers: dict[str, Row] = field(default_factory=dict)
    tokens: dict[UUID, Row] = field(default_factory=dict)
    signing_keys: dict[UUID, Row] = field(default_factory=dict)
    guard: Row = field(default_factory=lambda: dict.fromkeys(("began_at", "ends_at", "why", "who")))
    """The row of table `guard`."""
    ledger_identity: str = "server 1"
    """Which ledger this is: another after a restored backup or a failover."""
    keys: dict[tuple[str, str], UUID] = field(default_factory=dict)
    archive: dict[UUID, Row] = field(default_factory=dict)
    """Table `archived_orders`: for each order its row of `orders`, its numbers, events and messages."""
    restored: dict[UUID, datetime] = field(default_factory=dict)
    """Table `restored_orders`."""
    references: dict[str, UUID] = field(default_factory=dict)
    """The orders by their references at the carriers."""
    _identities: Iterator[int] = field(default_factory=lambda: count(1))
    _held_now: dict[str, Row] = field(default_factory=dict)
    _carrier_orders: dict[tuple[str, str], UUID] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.guard |= {"identity": self.ledger_identity, "seen_at": datetime.min.replace(tzinfo=UTC)}

    def identity(self) -> int:
        """Return the next id, which no row has."""
        return next(self._identities)

    # Orders

    def insert_order(self, row: Row) -> None:
        """Store a new order, whose key and id are free."""
        order_id = row["order_id"]
        self.orders[order_id] = row
        self.keys[row["producer"], row["key"]] = order_id
        self.references[row["reference"] or str(order_id)] = order_id
        self.numbers[order_id] = {}
        self.events[order_id] = []

    def owner(self, carrier: str, carrier_order_id: str | None) -> UUID | None:
        """Return the order of ours that a carrier's order belongs to."""
        return self._carrier_orders.get((carrier, carrier_order_id or ""))

    def move(self, moves: list[tuple[Row, Row]]) -> None:
        """Change orders, all of them or none.

        Raises:
            psycopg.errors.IntegrityError: One of them violates a constraint; none is changed.
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

    # Work items

    def work_items(self, order_id: UUID) -> list[Row]:
        """Return the work items of an order."""
        rows = (self.owed.get((order_id, lane.value)) for lane in Lane)
        return [row for row in rows if row is not None]

    def add_work(self, order: Row, effect: Row, *, keeps_looks: bool = False) -> None:
        """Add a work item, or renew the one that the order has on this lane."""
        order_id = order["order_id"]
        lane, not_before = effect["lane"], datetime.fromisoformat(effect["not_before"])
        row = self.owed.get((order_id, lane))
        if row is None:
            self.owed[order_id, lane] = new_work_item(order, lane, not_before, effect["reason"])
            return
        # A delivery under way keeps its lease: otherwise a later document could overtake it.
        is_being_delivered = lane == Lane.TELL and row["lease_token"] is not None
        row.update(reason=effect["reason"], attempts=0, turn=row["turn"] + 1, serial_key=None)
        row.update({} if keeps_looks else {"confirmed": 0})
        row.update({} if is_being_delivered else {"not_before": not_before, "lease_token": None})

    def drop_work(self, order_id: UUID, lanes_kept: set[str]) -> None:
        """Delete the work items of an order on the lanes submit and ask, except on `lanes_kept`."""
        for lane in _NEXT_STEPS:
            if lane not in lanes_kept:
                self.owed.pop((order_id, lane), None)

    # Holds

    def pause(self, carrier: str, lane: str) -> Row | None:
        """Return the pause of a lane that is in force, if there is one."""
        in_force = (row for row in self.pauses if row["resumed_at"] is None)
        return next((row for row in in_force if (row["carrier"], row["lane"]) == (carrier, lane)), None)

    def breaker(self, carrier: str, lane: str) -> Row | None:
        """Return the breaker that a lane depends on. The lane `tell` depends on none: it needs no carrier."""
        return None if lane == Lane.TELL else self.breakers.get(carrier)

    def budget(self, work_item: Row) -> Row | None:
        """Return the limit group of a work item's requests."""
        carrier, lane, kind = work_item["carrier"], work_item["lane"], work_item["kind"]
        return self.budgets.get((carrier, self.limit_groups.get((carrier, lane, kind), "")))

    # Numbers

    def hold_number(self, e164: str, order: Row, since: datetime | None = None) -> None:
        """Let an order hold a number, unless an order holds it already."""
        if e164 not in self._held_now:
            row = {"e164": e164, "carrier": order["carrier"], "account": order["account"]}
            row |= {"acquired_by": order["order_id"], "acquired_at": min(since or self.clock(), self.clock())}
            row |= {"released_by": None, "released_at": None}
            self._held_now[e164] = row
            self.held.append(row)

    def release_number(self, e164: str, order: Row) -> bool:
        """Let an order release a number, if it is held at the carrier of that order; return whether it was."""
        row = self._held_now.get(e164)
        if row is None or row["carrier"] != order["carrier"]:
            return False
        del self._held_now[e164]
        row.update(released_by=order["order_id"], released_at=max(self.clock(), row["acquired_at"]))
        return True

    def holding(self, e164: str) -> Row | None:
        """Return the holding of a number that is in force, if there is one."""
        return self._held_now.get(e164)


def new_work_item(order: Row, lane: str, not_before: datetime, reason: str | None) -> Row:
    """Return a work item that was never claimed."""
    row = {name: order[name] for name in ("order_id", "carrier", "kind")}
    row |= {"lane": lane, "not_before": not_before, "reason": reason}
    return row | {"lease_token": None, "attempts": 0, "confirmed": 0, "turn": 0, "serial_key": None, "hurried_at": None}


def check_e164(e164: str) -> None:
    """Refuse what is not a number in E.164 form.

    Raises:
        psycopg.errors.CheckViolation: It is not.
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
