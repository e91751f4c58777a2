"""Which alarms must stand at the end of a world, and which must never be raised.

Where a carrier, or a person, broke a promise's condition, a person must be told. Where nobody did, an alarm is a fault.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from number_orders.orders.alarms import Alarm
from number_orders.orders.model import Kind, NumberState, State
from number_orders.simulation.books import Books, Excuse, acquired, withdrawn
from number_orders.simulation.ends import Ends
from number_orders.simulation.tables import Row, Tables


@dataclass(slots=True)
class AlarmRules:
    """Compares the alarms with what the carriers did."""

    tables: Tables
    books: Books
    ends: Ends
    has_fallen: bool = False
    """Whether the ledger fell back in time. Then an answer to a forgotten question is taken for a second purchase."""

    def undeserved(self, alarm: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with an alarm that was raised just now."""
        order = self.tables.orders.get(alarm["order_id"])
        match alarm["what"]:
            case Alarm.ILLEGAL_TRANSITION | Alarm.EVENT_NOT_STORABLE:
                deserved = False
            case Alarm.CARRIER_ORDER_TAKEN | Alarm.END_CONTRADICTED:
                deserved = order is not None and bool(self._excuses(order))
            case Alarm.NUMBER_HELD_TWICE:
                deserved = order is not None and self._may_be_held_twice(order, alarm["subject"])
            case Alarm.BOUGHT_TWICE:
                deserved = order is not None and (len(self._purchases(order)) > 1 or bool(self._excuses(order)))
                deserved = deserved or self.has_fallen
            case Alarm.NUMBERS_WITHDRAWN:
                deserved = order is not None and self._may_be_withdrawn(order)
            case _:
                return
        if not deserved:
            yield f"nothing at the carrier calls for alarm {alarm['what']} of {alarm['subject']}: {alarm['detail']}"

    def undeserved_of_steps(self, params: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[str]:
        """Yield what is wrong with the alarms that were raised with steps."""
        done = {str(row["order_id"]) for row in rows}
        for step in params["steps"].obj:
            for alarm in step["alarms"] if step["order_id"] in done else ():
                yield from self.undeserved({**alarm, "subject": step["order_id"], "order_id": UUID(step["order_id"])})
        for row in rows:
            for e164 in row["held_elsewhere"]:
                about = {"what": Alarm.NUMBER_HELD_TWICE, "subject": e164, "order_id": row["order_id"]}
                yield from self.undeserved({**about, "detail": "another order holds it"})

    def missing(self) -> Iterator[str]:
        """Yield the alarms that do not stand although the carriers call for them."""
        for order in self.tables.orders.values():
            if order["kind"] != Kind.REMOVE_NUMBERS:
                for what in self._called_for(order):
                    row = self.tables.alarms.get((what, str(order["order_id"])))
                    if row is None or row["cleared_at"] is not None:
                        yield f"order {order['order_id']} calls for the alarm {what}: {self.ends.story(order)}"

    def _called_for(self, order: Row) -> Iterator[str]:
        purchases = self._purchases(order)
        failed = order["state"] in {State.FAILED, State.CANCELLED}
        hidden = self._excuses(order) & {Excuse.NUMBERS_TOO_LATE, Excuse.BY_HAND}
        if len(purchases) > 1 or (purchases and failed and not hidden):
            yield Alarm.BOUGHT_TWICE
        lost = withdrawn(self.books.sales(order))
        if any(state == NumberState.WITHDRAWN for e164, state in self.ends.numbers(order) if e164 in lost):
            yield Alarm.NUMBERS_WITHDRAWN

    def _purchases(self, order: Row) -> list[list[str]]:
        """Return the numbers of each carrier order of an order that bought some."""
        return [numbers for sale in self.books.sales(order) if (numbers := acquired(sale))]

    def _excuses(self, order: Row) -> set[Excuse]:
        return self.books.excuses(order, self.books.sales(order))

    def _may_be_withdrawn(self, order: Row) -> bool:
        sales = self.books.sales(order)
        return bool(withdrawn(sales)) or bool(self.books.excuses(order, sales))

    def _may_be_held_twice(self, order: Row, e164: str) -> bool:
        """Return whether a number was removed while the ledger held it, or may be mixed up with one bought by hand."""
        carrier = order["carrier"]
        bought = {number for sale in self.books.by_hand(carrier) for number in acquired(sale)}
        return e164 in self.books.removed(carrier) | bought
