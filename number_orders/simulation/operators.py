"""The operators: one who decides with care, one who is impatient, one who makes mistakes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from uuid import UUID

from number_orders.orders.events import Adopted, Resolution, SentAgain, WrittenOff
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, Lane
from number_orders.simulation.broker import Broker, Message
from number_orders.simulation.carriers import SimulatedCarrier
from number_orders.simulation.faults import LATE_MAX_S, LISTING_MAX_S
from number_orders.simulation.tables import Row, Tables
from number_orders.simulation.trace import Trace

MISTAKEN: Final = "mistaken operator"
_CHECK_EVERY_S: Final = 1800.0
_MAX_SENDS: Final = 4
"""After so many an operator writes an order off: a carrier that never ends it once will not end it later."""

_CERTAIN_AFTER_S: Final = 2 * (LATE_MAX_S + LISTING_MAX_S)


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


@dataclass(slots=True)
class MistakenOperator:
    """An operator who parks orders under way and decides about parked ones without looking, or about the wrong one."""

    tables: Tables
    carriers: Mapping[CarrierName, SimulatedCarrier]
    broker: Broker
    trace: Trace
    dice: Random
    per_hour: float
    until_s: float
    may_send_again: bool
    """Not where a carrier lists orders or numbers beyond our patience: then two purchases cannot be avoided."""

    async def run(self) -> None:
        """Do something to a random order that has not ended, from time to time."""
        while asyncio.get_running_loop().time() < self.until_s:
            await asyncio.sleep(self.dice.expovariate(self.per_hour / 3600))
            under_way = [row for row in self.tables.orders.values() if not row["ended_at"]]
            if under_way:
                self._act(self.dice.choice(under_way))

    def _act(self, row: Row) -> None:
        note = f"note {self.trace.lines}"
        if row["state"] != "PARKED":
            self.trace.note("mistaken", "parks", str(row["order_id"]))
            self.broker.send(Message("park", (row["order_id"], note), late_ack=True))
            return
        decision = self._decision(row, note)
        self.trace.note("mistaken", "errs", f"{row['order_id']}: {decision}")
        self.broker.send(Message("resolve", (row["order_id"], decision), late_ack=True))

    def _decision(self, row: Row, note: str) -> Resolution:
        by = MISTAKEN
        others = [
            sale["order_id"]
            for sale in self.carriers[row["carrier"]].sales()
            if sale["customer_order_id"] != row["reference"]
        ]
        kinds = [*(["again"] if self.may_send_again else []), "closes", *(["adopts"] if others else [])]
        match self.dice.choice(kinds):
            case "again":
                return SentAgain(by, note)
            case "closes":
                return WrittenOff(by, note)
            case _:
                return Adopted(CarrierOrderId(self.dice.choice(others)), by, note)
