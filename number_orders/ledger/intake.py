"""Intake: new orders, each stored with its first event and its first work item.

Ids are unique, and so are keys for each producer (`one_order_per_key`). Of many workers that store the same order, one
succeeds; the others learn which order has the key or the id. An order takes its numbers from its producer's allowances
(`ledger.allowances`) in the same statement.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from psycopg.types.json import Jsonb

from number_orders.ledger.allowances import Allowance, Allowances
from number_orders.ledger.connection import Database
from number_orders.orders.budget import Above, Span
from number_orders.orders.model import Kind, OrderId, OrderRequest, State
from number_orders.orders.serialization import moment_to_json, request_to_json

log = structlog.get_logger(__name__)

_STORED: Final = frozenset({State.ACCEPTED.value, State.PARKED.value})
_REFUSED: Final = "REFUSED"
_UNOPENED: Final = "UNOPENED"
_IN_TURN: Final = "IN_TURN"


class Acceptance(Protocol):
    """The acceptance of one order in its trace."""

    @property
    def trace_parent(self) -> str | None:
        """See `Order.trace_parent`."""
        ...


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that has passed every check and is about to be stored."""

    order_id: OrderId
    producer: str
    request: OrderRequest
    fingerprint: str
    reference: str
    """See `orders.reference`. The ledger stores it unless workers of 0.1.0 may still send the order."""
    reason: str | None = None
    notification: Mapping[str, Any] | None = None
    parked_notification: Mapping[str, Any] | None = None
    """The document for the producer if the order is parked because of its budget; the ledger adds the reason."""
    channels: tuple[str, ...] = ()
    is_proven: bool = False
    """Whether its producer has proven itself, by a token or a signature."""
    acceptance: Acceptance | None = None
    body: Mapping[str, Any] | None = None
    """The request as the ledger stores it (`request_to_json`), if it is known already."""

    @property
    def numbers(self) -> int:
        """How many numbers it takes from its producer's budget."""
        return 0 if self.request.kind is Kind.REMOVE_NUMBERS else self.request.wanted


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of new orders. Those that are in neither map have a key or an id that is taken."""

    states: Mapping[OrderId, State]
    """The stored orders: ACCEPTED, or PARKED for an operator to approve."""
    over_budget: Mapping[OrderId, str]
    """The refused orders, with the budget that each exceeds."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An order that already has a certain key or id."""

    order_id: OrderId
    producer: str
    key: str
    fingerprint: str
    state: State


class IntakeStore:
    """Stores new orders, and finds the orders that already have their keys or ids."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, orders: Sequence[NewOrder], *, numbers_per_hour: int | None = None) -> Stored:
        """Store new orders in one transaction, as far as keys and ids are free and the producers' budgets allow.

        Args:
            orders: The orders, in the sequence in which they take numbers.
            numbers_per_hour: The limit of producers for whom nobody has set one; None: no limit.
        """
        rows = await self._accept("accept_orders", orders, numbers_per_hour)
        if any(row["outcome"] == _IN_TURN for row in rows):
            rows = await self._accept("accept_orders_in_turn", orders, numbers_per_hour)
        unopened = {row["order_id"] for row in rows if row["outcome"] == _UNOPENED}
        if unopened:
            late = [order for order in orders if order.order_id in unopened]
            await self._open_allowances([order.producer for order in late], numbers_per_hour)
            rows += await self._accept("accept_orders_in_turn", late, numbers_per_hour)
        return Stored(
            {OrderId(row["order_id"]): State(row["outcome"]) for row in rows if row["outcome"] in _STORED},
            {OrderId(row["order_id"]): row["why"] for row in rows if row["outcome"] == _REFUSED},
        )

    async def _accept(
        self, statement: str, orders: Sequence[NewOrder], numbers_per_hour: int | None
    ) -> list[Mapping[str, Any]]:
        rows = Jsonb([_new_order(position, order) for position, order in enumerate(orders)])
        return [*await self._database.run(statement, {"orders": rows, "numbers_per_hour": numbers_per_hour})]

    async def _open_allowances(self, producers: Sequence[str], numbers_per_hour: int | None) -> None:
        """Add the first allowance of producers that order for the first time, and warn of the limit that they live on.

        The statement returns each producer once, whoever else adds it at the same time.
        """
        opened = await self._database.run("open_allowances", {"producers": sorted(set(producers))})
        for row in opened:
            log.warning(
                "producer_without_limit",
                producer=row["producer"],
                numbers_per_hour=numbers_per_hour,
                remedy=f"number-orders producers limit {shlex.quote(row['producer'])} --per-hour N",
            )

    async def allowances(self, producer: str, *, numbers_per_hour: int | None = None) -> list[Allowance]:
        """Return the limits of a producer; of one that has never ordered, the limit that it will live on."""
        limits = await Allowances(self._database).read(producer, numbers_per_hour=numbers_per_hour)
        if limits or numbers_per_hour is None:
            return limits
        return [Allowance(producer, None, Span.HOUR, numbers_per_hour, Above.REFUSE, True, 0, None)]

    async def find_taken(self, orders: Sequence[NewOrder]) -> list[Taken]:
        """Return the stored orders that have an id or a key of `orders`."""
        params = {
            "order_ids": [order.order_id for order in orders],
            "producers": [order.producer for order in orders],
            "keys": [order.request.key for order in orders],
        }
        return [
            Taken(row["order_id"], row["producer"], row["key"], row["fingerprint"].hex(), State(row["state"]))
            for row in await self._database.run("find_taken", params)
        ]

    async def find_key(self, producer: str, key: str) -> OrderId | None:
        """Return the order with this key of this producer."""
        params = {"order_ids": [], "producers": [producer], "keys": [key]}
        return next((OrderId(row["order_id"]) for row in await self._database.run("find_taken", params)), None)


def _new_order(position: int, order: NewOrder) -> dict[str, Any]:
    return {
        "position": position,
        "order_id": str(order.order_id),
        "producer": order.producer,
        "key": order.request.key,
        "fingerprint": order.fingerprint,
        "reference": order.reference,
        "carrier": order.request.carrier,
        "kind": order.request.kind,
        "account": order.request.account,
        "numbers": order.numbers,
        "request": order.body or request_to_json(order.request),
        "reason": order.reason,
        "not_before": moment_to_json(order.request.not_before),
        "notification": order.notification,
        "parked_notification": order.parked_notification,
        "channels": list(order.channels),
        "is_proven": order.is_proven,
        "trace_parent": order.acceptance.trace_parent if order.acceptance else None,
    }
