"""The producers, who order, repeat and cancel.

Their orders are chosen from the seed. A producer without a ticket sends its order again, with the same key.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final
from uuid import UUID

from number_orders.fulfilment.intake import Ticket
from number_orders.fulfilment.ports import Delivery
from number_orders.orders.errors import OrderRefused
from number_orders.orders.model import Kind, OrderId
from number_orders.sandbox.swift.access import SwiftAccount
from number_orders.simulation.broker import Broker, Message
from number_orders.simulation.carriers import BANDWIDTH, CM_COM, SWIFT
from number_orders.simulation.faults import Faults
from number_orders.simulation.incidents import Incidents
from number_orders.simulation.tables import Tables
from number_orders.simulation.trace import Trace

_RESEND_AFTER_S: Final = 120.0
_ORDINARY: Final = ("919", "984", "704", "336", "303", "206", "312", "617")
_MAGIC: Final = ("808", "406", "307", "605", "208", "802", "207")
_NEVER_FILLED: Final = "207"
_SWIFT_ORDINARY: Final = ("919", "416", "604", "705", "902", "506", "709")
_SWIFT_MAGIC: Final = ("808", "406", "307", "605", "208", "802", "207")
_DUTCH: Final = ("020", "010", "070", "030")
_DUTCH_MAGIC: Final = ("0111", "0113", "0115")
_SWIFT_LISTED_LATE: Final = ("204", "306")
_SWIFT_ACCOUNTS: Final = SwiftAccount().sub_accounts[:1]
"""The sub-account that may add numbers, as the own account may."""


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """An order that a producer is going to place."""

    at_s: float
    order_id: UUID
    raw: Mapping[str, Any]
    cancelled_after_s: float | None = None


def planned_orders(dice: Random, count: int, incidents: Incidents, carriers: Collection[str]) -> Iterator[PlannedOrder]:
    """Choose orders over the first half of the fault period, some of them in one burst."""
    burst_s = dice.uniform(0, incidents.fault_period_s / 2)
    # In many worlds most orders go to one carrier.
    shares = [dice.random() ** 3 * (not carriers or name in carriers) for name in _BY_CARRIER]
    for number in range(count):
        at_s = burst_s if dice.random() < 0.3 else dice.uniform(0, incidents.fault_period_s / 2)  # noqa: PLR2004
        cancelled = dice.random() < incidents.faults.cancelled
        after_s = incidents.random_s(0.05, 7200.0) if cancelled else None
        raw = _order(dice, f"crm-{number:05}", shares, strange=incidents.faults.strange)
        yield PlannedOrder(at_s, new_uuid(dice), raw, after_s)


def elsewhere(placed: Iterator[PlannedOrder], dice: Random, faults: Faults) -> Iterator[PlannedOrder]:
    """Move some Swift orders to another account, or to an area whose numbers are listed late."""
    for planned in placed:
        raw = dict(planned.raw)
        if raw["carrier"] == SWIFT and dice.random() < faults.accounts:
            raw["account"] = dice.choice(_SWIFT_ACCOUNTS)
        if raw["carrier"] == SWIFT and "criteria" in raw and dice.random() < faults.number_lag / 3:
            raw["criteria"] = {"npa": dice.choice(_SWIFT_LISTED_LATE)}
        yield replace(planned, raw=raw)


def new_uuid(dice: Random) -> UUID:
    """Return a new order id."""
    return UUID(int=dice.getrandbits(128), version=4)


def _order(dice: Random, key: str, shares: Sequence[float], *, strange: float) -> dict[str, Any]:
    magic = dice.random() < strange
    (new_order,) = dice.choices(tuple(_BY_CARRIER.values()), weights=shares)
    return new_order(dice, magic=magic) | {"key": key} | notification(dice)


def notification(dice: Random) -> dict[str, Any]:
    """Return what an order says of its notification."""
    order: dict[str, Any] = {}
    if dice.random() < 0.5:  # noqa: PLR2004  half of them ask for documents
        order["notify"] = {"task": "crm.told", "queue": "crm"}
        if dice.random() < 0.5:  # noqa: PLR2004  and half of those for every state
            order["notify"]["on"] = ["ACCEPTED", "OPEN", "PARKED", "COMPLETED", "PARTIAL", "COMPLETED_WITH_ERRORS"]
            order["notify"]["on"] += ["FAILED", "CANCELLED"]
    return order


def _bandwidth_order(dice: Random, *, magic: bool) -> dict[str, Any]:
    order: dict[str, Any] = {"carrier": str(BANDWIDTH), "kind": Kind.NEW_NUMBERS.value}
    npa = dice.choice(_MAGIC if magic else _ORDINARY)
    if dice.random() < 0.4:  # noqa: PLR2004  by name; few numbers, so that some are wanted twice
        lines = dice.sample(range(12), dice.randint(1, 3))
        return order | {"numbers": [f"+1{npa}2345{line:03}" for line in sorted(lines)]}
    order |= {"criteria": {"npa": npa}, "quantity": dice.randint(1, 6)}
    fills = npa != _NEVER_FILLED and dice.random() < 0.3  # noqa: PLR2004
    return order | {"allow_partial": dice.random() < 0.8, "allow_backorder": fills}  # noqa: PLR2004


def _cm_order(dice: Random, *, magic: bool) -> dict[str, Any]:
    npa = dice.choice(_DUTCH_MAGIC if magic else _DUTCH)
    criteria = {"country": "NLD", "number_type": "local", "npa": npa}
    order = {"carrier": str(CM_COM), "kind": Kind.NEW_NUMBERS.value}
    return order | {"criteria": criteria, "quantity": dice.randint(1, 5)}


def _swift_order(dice: Random, *, magic: bool) -> dict[str, Any]:
    if dice.random() < 0.2:  # noqa: PLR2004  brought along
        first = 2_120_000 + 10 * dice.randrange(88_000)  # 211 is no exchange
        numbers = [f"+1512{first + line}" for line in range(dice.randint(1, 3))]
        return {"carrier": str(SWIFT), "kind": Kind.ADD_MESSAGING_NUMBERS.value, "numbers": numbers}
    npa = dice.choice(_SWIFT_MAGIC if magic else _SWIFT_ORDINARY)
    order = {"carrier": str(SWIFT), "kind": Kind.NEW_NUMBERS.value}
    return order | {"criteria": {"npa": npa}, "quantity": dice.randint(1, 4)}


_BY_CARRIER: Final = {str(BANDWIDTH): _bandwidth_order, str(CM_COM): _cm_order, str(SWIFT): _swift_order}


@dataclass(slots=True)
class Inbox:
    """The documents that producers received, in order."""

    documents: dict[OrderId, list[Mapping[str, Any]]] = field(default_factory=dict)

    def receive(self, delivery: Delivery) -> None:
        """Receive a document."""
        self.documents.setdefault(delivery.message.order_id, []).append(delivery.message.document)


@dataclass(slots=True)
class Producer:
    """Places one order and records the answer."""

    planned: PlannedOrder
    broker: Broker
    trace: Trace
    dice: Random
    ticket: Ticket | None = None
    refused: OrderRefused | None = None

    async def run(self) -> None:
        """Place the order, repeat it until there is a ticket, and perhaps cancel it."""
        await asyncio.sleep(self.planned.at_s)
        await self._ask_until_answered(self.planned.order_id)
        if self.ticket is not None and self.planned.cancelled_after_s is not None:
            order_id = self.ticket.order_id
            await asyncio.sleep(self.planned.cancelled_after_s)
            self.broker.send(Message("cancel", (order_id,), late_ack=True))

    async def _ask_until_answered(self, order_id: UUID) -> None:
        while self.ticket is None and self.refused is None:
            await self._ask_for_ticket(order_id)
            order_id = self.planned.order_id if self.dice.random() < 0.5 else new_uuid(self.dice)  # noqa: PLR2004

    async def repeat_if_forgotten(self, tables: Tables) -> None:
        """Place the order again, with its key, if the ledger has forgotten it: its producer asked for it in vain.

        It asks a second time later, since a ticket of before the fall may come after it.
        """
        for wait_s in (0.0, 2 * _RESEND_AFTER_S):
            await asyncio.sleep(wait_s)
            if self.ticket is not None and self.ticket.order_id not in tables.orders:
                self.ticket = None
                await self._ask_until_answered(new_uuid(self.dice))

    async def _ask_for_ticket(self, order_id: UUID) -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.trace.note("producer", "orders", f"{self.planned.raw['key']} as {order_id}")
        self.broker.send(Message("submit", (dict(self.planned.raw), order_id), late_ack=True, answer=answer))
        try:
            async with asyncio.timeout(_RESEND_AFTER_S):
                said = await answer
        except TimeoutError:
            return
        self.ticket = said if isinstance(said, Ticket) else None
        self.refused = said if isinstance(said, OrderRefused) else None
