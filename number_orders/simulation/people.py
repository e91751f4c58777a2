"""The people around the service: producers who order, repeat and cancel, and operators.

Their orders are chosen from the seed. A producer without a ticket sends its order again, with the same key.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import UUID

from number_orders.fulfilment.intake import Ticket
from number_orders.fulfilment.ports import Delivery
from number_orders.orders.errors import OrderRefused
from number_orders.orders.events import Adopted, Resolution, SentAgain, WrittenOff
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, Lane, OrderId
from number_orders.simulation.broker import Broker, Message
from number_orders.simulation.carriers import BANDWIDTH, CM_COM, SWIFT, SimulatedCarrier
from number_orders.simulation.faults import LATE_MAX_S, LISTING_MAX_S
from number_orders.simulation.incidents import Incidents
from number_orders.simulation.tables import Row, Tables
from number_orders.simulation.trace import Trace

_RESEND_AFTER_S: Final = 120.0
_CHECK_EVERY_S: Final = 1800.0
_MAX_SENDS: Final = 4
"""After so many an operator writes an order off: a carrier that never ends it once will not end it later."""

_CERTAIN_AFTER_S: Final = 2 * (LATE_MAX_S + LISTING_MAX_S)

_ORDINARY: Final = ("919", "984", "704", "336", "303", "206", "312", "617")
_MAGIC: Final = ("808", "406", "307", "605", "208", "802", "207")
_NEVER_FILLED: Final = "207"
_SWIFT_ORDINARY: Final = ("919", "416", "604", "705", "902", "506", "709")
_SWIFT_MAGIC: Final = ("808", "406", "307", "605", "208", "802", "207")
_DUTCH: Final = ("020", "010", "070", "030")
_DUTCH_MAGIC: Final = ("0111", "0113", "0115")


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
        yield PlannedOrder(at_s, _uuid(dice), raw, after_s)


def _uuid(dice: Random) -> UUID:
    return UUID(int=dice.getrandbits(128), version=4)


def _order(dice: Random, key: str, shares: Sequence[float], *, strange: float) -> dict[str, Any]:
    magic = dice.random() < strange
    (new_order,) = dice.choices(tuple(_BY_CARRIER.values()), weights=shares)
    return new_order(dice, magic=magic) | {"key": key} | _notification(dice)


def _notification(dice: Random) -> dict[str, Any]:
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
        first = 2_000_000 + 10 * dice.randrange(100_000)
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
            order_id = self.planned.order_id if self.dice.random() < 0.5 else _uuid(self.dice)  # noqa: PLR2004

    async def repeat_if_forgotten(self, tables: Tables) -> None:
        """Place the order again, with its key, if the ledger has forgotten it: its producer asked for it in vain.

        It asks a second time later, since a ticket of before the fall may come after it.
        """
        for wait_s in (0.0, 2 * _RESEND_AFTER_S):
            await asyncio.sleep(wait_s)
            if self.ticket is not None and self.ticket.order_id not in tables.orders:
                self.ticket = None
                await self._ask_until_answered(_uuid(self.dice))

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


@dataclass(slots=True)
class Remover:
    """Orders the removal of numbers, some of them inside their taint window."""

    tables: Tables
    broker: Broker
    trace: Trace
    dice: Random
    count: int
    until_s: float
    producers: list[Producer]
    """All producers; those of removals are added."""
    _chosen: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Order the removal of some of the numbers held, from time to time."""
        for number in range(self.count):
            await asyncio.sleep(self.dice.uniform(0, 2 * self.until_s / self.count))
            if asyncio.get_running_loop().time() > self.until_s:
                return
            if numbers := self._choice():
                raw = self._removal(f"gone-{number:05}", numbers)
                cancelled_after_s = self.dice.uniform(0, 3600) if self.dice.random() < 0.1 else None  # noqa: PLR2004
                planned = PlannedOrder(0, _uuid(self.dice), raw, cancelled_after_s)
                producer = Producer(planned, self.broker, self.trace, self.dice)
                self.producers.append(producer)
                await producer.run()

    def _choice(self) -> list[Row]:
        """Choose numbers of one carrier whose order has ended and that no removal names."""
        held = [row for row in self.tables.held if row["released_at"] is None and row["e164"] not in self._chosen]
        held = [row for row in held if self.tables.orders[row["acquired_by"]]["ended_at"]]
        carrier = self.dice.choice((BANDWIDTH, SWIFT, SWIFT))
        ours = [row for row in held if row["carrier"] == carrier][-6:]
        chosen = self.dice.sample(ours, min(len(ours), self.dice.randint(1, 4)))
        self._chosen.update(row["e164"] for row in chosen)
        return chosen

    def _removal(self, key: str, rows: Sequence[Row]) -> dict[str, Any]:
        carrier = rows[0]["carrier"]
        order = {"key": key, "carrier": str(carrier), "kind": Kind.REMOVE_NUMBERS.value}
        order |= {"numbers": [row["e164"] for row in rows]} | _notification(self.dice)
        return order | ({"when_tainted": self.dice.choice(("wait", "split", "fail"))} if carrier == SWIFT else {})


@dataclass(slots=True)
class ImpatientOperator:
    """An operator who parks, retries and notifies at random, whatever the orders wait for."""

    tables: Tables
    broker: Broker
    trace: Trace
    dice: Random
    per_hour: float
    until_s: float

    async def run(self) -> None:
        """Do something with a random order, from time to time."""
        while asyncio.get_running_loop().time() < self.until_s:
            await asyncio.sleep(self.dice.expovariate(self.per_hour / 3600))
            if self.tables.orders:
                self._act(self.dice.choice(list(self.tables.orders)))
            self.broker.send(Message("mind", ()))

    def _act(self, order_id: UUID) -> None:
        action = self.dice.choice(("park", "retry", "retry", "tell"))
        self.trace.note("impatient", action, str(order_id))
        if action == "park":
            self.broker.send(Message("park", (order_id, f"note {self.trace.lines}"), late_ack=True))
        else:
            self.broker.send(Message("retry", (order_id, Lane.TELL if action == "tell" else None), late_ack=True))


@dataclass(slots=True)
class Operator:
    """An operator who decides about parked orders after a look at the carrier's portal."""

    tables: Tables
    carriers: Mapping[CarrierName, SimulatedCarrier]
    broker: Broker
    trace: Trace
    dice: Random
    from_s: float
    """When the operator starts: at first, or after the fault period."""
    _decided: int = 0

    async def run(self) -> None:
        """Decide every half hour about orders that were parked long enough for the portal to be certain."""
        await asyncio.sleep(self.from_s)
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            for row in list(self.tables.orders.values()):
                parked_s = (self.tables.clock() - row["moved_at"]).total_seconds()
                if row["state"] == "PARKED" and parked_s > _CERTAIN_AFTER_S:
                    self._decide(row)

    def _decide(self, row: Row) -> None:
        self._decided += 1
        decision = self._decision(row, self.carriers[row["carrier"]].sales(row["reference"]))
        self.trace.note("operator", "decides", f"{row['order_id']}: {decision}")
        self.broker.send(Message("resolve", (row["order_id"], decision), late_ack=True))

    def _decision(self, row: Row, sales: Sequence[Mapping[str, Any]]) -> Resolution:
        by, why = "operator", f"looked at the portal, note {self._decided}"
        if bought := [sale for sale in sales if sale["outcome"] != "FAILED"]:
            theirs = [sale["order_id"] for sale in bought]
            latest = theirs[
                -1 if row["kind"] == Kind.REMOVE_NUMBERS else 0
            ]  # of a removal, the last part, which is under way
            return Adopted(
                CarrierOrderId(row["carrier_order_id"] if row["carrier_order_id"] in theirs else latest), by, why
            )
        hopeful = self.dice.random() < 0.7  # noqa: PLR2004
        return SentAgain(by, why) if hopeful and row["sends"] < _MAX_SENDS else WrittenOff(by, why)
