"""Those around the service: producers who order, insist and change their minds, and a person at the desk.

Their orders are drawn from the seed. A producer that has no ticket sends its order again, with the same key.
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
    """An order that somebody is going to place."""

    at_s: float
    order_id: UUID
    raw: Mapping[str, Any]
    cancelled_after_s: float | None = None


def planned_orders(dice: Random, count: int, incidents: Incidents, carriers: Collection[str]) -> Iterator[PlannedOrder]:
    """Draw orders over the first half of the storm, some of them in one burst."""
    burst_s = dice.uniform(0, incidents.fault_period_s / 2)
    # Often most orders of a world go to one carrier.
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
    if dice.random() < 0.5:  # noqa: PLR2004  half of them want to hear of it
        order["notify"] = {"task": "crm.told", "queue": "crm"}
        if dice.random() < 0.5:  # noqa: PLR2004  and half of those of every step
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
    """What producers were told, in the order in which it came."""

    documents: dict[OrderId, list[Mapping[str, Any]]] = field(default_factory=dict)

    def receive(self, delivery: Delivery) -> None:
        """Take a document."""
        self.documents.setdefault(delivery.message.order_id, []).append(delivery.message.document)


@dataclass(slots=True)
class Producer:
    """Places one order, and knows what became of the attempt."""

    planned: PlannedOrder
    broker: Broker
    trace: Trace
    dice: Random
    ticket: Ticket | None = None
    refused: OrderRefused | None = None

    async def run(self) -> None:
        """Order, insist until there is a ticket, and perhaps call the order back."""
        await asyncio.sleep(self.planned.at_s)
        order_id = self.planned.order_id
        while self.ticket is None and self.refused is None:
            await self._ask_for_ticket(order_id)
            order_id = self.planned.order_id if self.dice.random() < 0.5 else _uuid(self.dice)  # noqa: PLR2004
        if self.ticket is not None and self.planned.cancelled_after_s is not None:
            await asyncio.sleep(self.planned.cancelled_after_s)
            self.broker.send(Message("cancel", (self.ticket.order_id,), late_ack=True))

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
    """Gives numbers up again, some of them very young."""

    tables: Tables
    broker: Broker
    trace: Trace
    dice: Random
    count: int
    until_s: float
    producers: list[Producer]
    """Whoever has ordered something; those who remove join them."""
    _chosen: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Look now and then at what is held, and give some of it up."""
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
        """Choose numbers of one carrier that orders at their end have brought, and nobody gives up already."""
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
    """A person who cannot leave orders alone: parks them, and wants them tried or told now, whatever they wait for."""

    tables: Tables
    broker: Broker
    trace: Trace
    dice: Random
    per_hour: float
    until_s: float

    async def run(self) -> None:
        """Pick an order now and then, and do something with it."""
        while asyncio.get_running_loop().time() < self.until_s:
            await asyncio.sleep(self.dice.expovariate(self.per_hour / 3600))
            if self.tables.orders:
                self._act(self.dice.choice(list(self.tables.orders)))
            self.broker.send(Message("mind", ()))

    def _act(self, order_id: UUID) -> None:
        action = self.dice.choice(("park", "retry", "retry", "tell"))
        self.trace.note("meddler", action, str(order_id))
        if action == "park":
            self.broker.send(Message("park", (order_id, f"note {self.trace.lines}"), late_ack=True))
        else:
            self.broker.send(Message("retry", (order_id, Lane.TELL if action == "tell" else None), late_ack=True))


@dataclass(slots=True)
class Operator:
    """A person who looks at parked orders now and then, and at the carrier's portal before deciding."""

    tables: Tables
    carriers: Mapping[CarrierName, SimulatedCarrier]
    broker: Broker
    trace: Trace
    dice: Random
    from_s: float
    """When the person comes in: at first, or when the storm is over."""
    _decided: int = 0

    async def run(self) -> None:
        """Look every half hour at what has been parked for long enough to be certain of."""
        await asyncio.sleep(self.from_s)
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            for row in list(self.tables.orders.values()):
                parked_s = (self.tables.clock() - row["moved_at"]).total_seconds()
                if row["state"] == "PARKED" and parked_s > _CERTAIN_AFTER_S:
                    self._decide(row)

    def _decide(self, row: Row) -> None:
        self._decided += 1
        decision = self._decision(row, self.carriers[row["carrier"]].sales(str(row["order_id"])))
        self.trace.note("clerk", "decides", f"{row['order_id']}: {decision}")
        self.broker.send(Message("resolve", (row["order_id"], decision), late_ack=True))

    def _decision(self, row: Row, sales: Sequence[Mapping[str, Any]]) -> Resolution:
        by, why = "clerk", f"looked at the portal, note {self._decided}"
        if bought := [sale for sale in sales if sale["outcome"] != "FAILED"]:
            theirs = [sale["order_id"] for sale in bought]
            latest = theirs[-1 if row["kind"] == Kind.REMOVE_NUMBERS else 0]  # of a removal, the part under way
            return Adopted(
                CarrierOrderId(row["carrier_order_id"] if row["carrier_order_id"] in theirs else latest), by, why
            )
        return SentAgain(by, why) if self.dice.random() < 0.7 else WrittenOff(by, why)  # noqa: PLR2004
