"""Checks the promises from outside: after every statement, after every action of a carrier, and at the end.

It does not trust what the service says. It reads the tables and compares them with what the carriers have really sold.
The first broken promise ends the world.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from number_orders.orders.model import FINAL_STATES, CarrierName, Lane, NumberState, State
from number_orders.simulation.alarm_rules import AlarmRules
from number_orders.simulation.books import BY_HAND, Books, summary, withdrawn
from number_orders.simulation.carriers import Sale, SimulatedCarrier
from number_orders.simulation.ends import Ends
from number_orders.simulation.paths import Paths
from number_orders.simulation.people import Inbox, Producer
from number_orders.simulation.statements.schedule import next_steps
from number_orders.simulation.tables import Row, Tables
from number_orders.simulation.trace import Trace

_NEXT_LOOK_WITHIN: Final = timedelta(hours=2)
"""The longest time until the next look at an order: the slowest cadence, and an hour of a carrier's."""


_GIVEN_UP: Final = {NumberState.FAILED, NumberState.WITHDRAWN}
_NOT_STORED: Final = {"REFUSED", "UNOPENED"}
"""What becomes of orders that `accept_orders` does not store."""


@dataclass(slots=True)
class Monitor:
    """Checks one world."""

    tables: Tables
    carriers: Mapping[CarrierName, SimulatedCarrier]
    inbox: Inbox
    trace: Trace
    paths: Paths = field(default_factory=Paths)
    broken: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _final_orders: dict[UUID, tuple[object, frozenset[tuple[str, str]]]] = field(default_factory=dict)
    _leases: dict[tuple[UUID, str], tuple[UUID, datetime]] = field(default_factory=dict)
    has_fallen: bool = False
    """Whether the ledger has fallen back in time: it may have forgotten orders, attempts and ends."""
    _books: Books = field(init=False)
    _ends: Ends = field(init=False)
    _alarms: AlarmRules = field(init=False)

    def __post_init__(self) -> None:
        self._books = Books(self.tables, self.carriers)
        self._ends = Ends(self.tables, self._books)
        self._alarms = AlarmRules(self.tables, self._books, self._ends)

    def _fail_for(self, promises: Iterable[str]) -> None:
        for promise in promises:
            self.fail(promise)

    def on_fall(self) -> None:
        """Forget what the ledger has forgotten."""
        self.has_fallen = self._alarms.has_fallen = True
        self._final_orders.clear()
        self._leases.clear()

    def fail(self, promise: str) -> None:
        """Record a broken promise and end the world."""
        self.trace.note("monitor", "BROKEN", promise)
        self.broken.append(promise)
        self.ended.set()

    # After every statement

    def on_statement(self, process: str, statement: str, params: Mapping[str, Any], rows: list[Row]) -> None:
        """Check the tables just after a statement."""
        self.trace.note(process, statement, _detail(statement, params, rows))
        match statement:
            case "claim" | "claim_unlimited":
                self._check_claims(params, [row for row in rows if row["order_id"]])
            case "postpone" | "put_off" | "release" | "wait_for_serial_locks" | "mark_delivered":
                self._end_leases(params)
            case "record_steps" | "accept_orders" | "accept_orders_in_turn":
                for row in rows:
                    if row.get("outcome") not in _NOT_STORED:
                        self._check_order(self.tables.orders[row["order_id"]])
                self._fail_for(self._alarms.undeserved_of_steps(params, rows) if statement == "record_steps" else ())
            case "raise_alarm":
                self._fail_for(self._alarms.undeserved(params))
        self.paths.on_statement(self.tables, statement, params, rows)

    def _check_claims(self, params: Mapping[str, Any], rows: list[Row]) -> None:
        """Check that a claim is exclusive: no child gets what another still holds."""
        now = self.tables.clock()
        for row in rows:
            key = (row["order_id"], str(params["lane"]))
            if key in self._leases and self._leases[key][1] > now:
                self.fail(f"order {key[0]} is claimed on lane {key[1]} while another child holds it")
            self._leases[key] = (params["token"], now + params["lease"])

    def _end_leases(self, params: Mapping[str, Any]) -> None:
        held = [key for key, (token, _) in self._leases.items() if token == params["token"]]
        for key in held:
            work_item = self.tables.owed.get(key)
            if work_item is None or work_item["lease_token"] != params["token"]:
                del self._leases[key]

    def _check_order(self, order: Row) -> None:
        order_id, state = order["order_id"], State(order["state"])
        for lane in (Lane.SUBMIT.value, Lane.ASK.value):  # a step replaces what was owed, and ends its lease
            self._leases.pop((order_id, lane), None)
        owed = next_steps(self.tables, order_id)
        if state is State.PARKED and not order["reason"]:
            self.fail(f"order {order_id} is parked without a reason")
        if (state.is_final or state is State.PARKED) and owed and not self._is_late_look(order, owed):
            self.fail(f"order {order_id} is {state} and still owed {owed}")
        if not state.is_final and state is not State.PARKED:
            self._check_schedule(order, owed)
        events = self.tables.events[order_id]
        if [event["version"] for event in events] != list(range(order["version"] + 1)):
            self.fail(f"the events of order {order_id} have gaps")
        if state.is_final:
            self._check_final_order(order)
        elif order_id in self._final_orders:
            self.fail(f"order {order_id} had ended and is now {state}")

    def _is_late_look(self, order: Row, owed: Sequence[Row]) -> bool:
        """Return whether an ended order is owed one late look, and may have bought more than it knows."""
        events = {event["event"] for event in self.tables.events[order["order_id"]]}
        doubted = (order["sends"] > 1 and order["doubt_since"] is not None) or order["history_lost_at"] is not None
        wanted = doubted or bool(events & {"WrittenOff", "CutShort", "TakenAsItIs"})
        return State(order["state"]).is_final and wanted and [row["lane"] for row in owed] == [Lane.ASK]

    def _check_schedule(self, order: Row, owed: Sequence[Row]) -> None:
        """Check that an unfinished order is owed exactly one next step, and soon."""
        order_id = order["order_id"]
        if len(owed) != 1 or (owed[0]["lane"] == Lane.SUBMIT and order["state"] != State.ACCEPTED):
            self.fail(f"order {order_id} is {order['state']} and owed {owed}")
        elif owed[0]["not_before"] > self.tables.clock() + _NEXT_LOOK_WITHIN:
            self.fail(f"order {order_id} is {order['state']}, and its next look is only at {owed[0]['not_before']}")

    def _check_final_order(self, order: Row) -> None:
        """Check that an end is final and that each of its numbers is right."""
        order_id = order["order_id"]
        end, numbers = (order["state"], order["ended_at"], order["carrier_order_id"]), self._ends.numbers(order)
        before, known = self._final_orders.get(order_id, (end, numbers))
        theirs = withdrawn(self._books.sales(order)) if known != numbers else set()
        gone = {e164 for e164, state in numbers if state == NumberState.WITHDRAWN and e164 in theirs}
        lost = {(e164, state) for e164, state in known - numbers if state not in _GIVEN_UP and e164 not in gone}
        # A late look finds numbers, also some that were given up, and takes away only what the carrier withdrew.
        if before != end or lost:
            self.fail(f"order {order_id} ended twice: {before} with {known}, then {end} with {numbers}")
        self._final_orders[order_id] = (end, numbers)
        self._fail_for(self._ends.differences(order, for_good=False))

    # After every action of a carrier

    def on_carrier_action(self, carrier: CarrierName) -> None:
        """Check what a carrier has sold just after it did something."""
        self._books.forget(carrier)
        for reference, sales in self._books.by_reference(carrier).items():
            if reference != BY_HAND:
                self._check_sales(carrier, reference, sales)
        for violation in self.carriers[carrier].violations():
            self.fail(f"{carrier} reports a violation: {violation}")

    def _check_sales(self, carrier: CarrierName, reference: str, sales: Sequence[Sale]) -> None:
        order_id = self.tables.references.get(reference)
        order = self.tables.orders.get(order_id) if order_id else None
        if self.has_fallen and (order is None or not order["sends"] or order["history_lost_at"]):
            self._fail_for(self._ends.second_purchases(reference, sales))
            return
        if order is None or order["sends"] == 0:
            self.fail(f"{carrier} has {reference}, which was sent before it was recorded")
            return
        self._fail_for(self._ends.purchase_faults(carrier, reference, order, sales))

    # At the end of the world

    def check_end(self, producers: Sequence[Producer]) -> None:
        """Check everything once more when nothing more will happen."""
        for producer in producers:
            if producer.refused is not None:
                self.fail(f"order {producer.planned.raw} was refused: {producer.refused}")
            elif producer.ticket is None or producer.ticket.order_id not in self.tables.orders:
                self.fail(f"order {producer.planned.raw['key']} is lost")
        for order in self.tables.orders.values():
            self._check_order(order)
            if order["state"] not in FINAL_STATES:
                self.fail(
                    f"order {order['order_id']} is {order['state']} and never ends: {self.story(order['order_id'])}"
                )
            else:
                self._fail_for(self._ends.differences(order, for_good=True))
            self._check_notifications(order)
        for carrier in self.carriers:
            self._check_carrier_at_end(carrier)
        if not self.has_fallen:
            self._fail_for(self._alarms.missing())
        self.paths.at_end(self.tables, self._books)

    def _check_carrier_at_end(self, carrier: CarrierName) -> None:
        self.on_carrier_action(carrier)
        for reference, sales in self._books.by_reference(carrier).items():
            if reference != BY_HAND and reference not in self.tables.references:
                self.fail(f"{carrier} has {summary(sales)}, and no order of ours knows of it")
        if not self.has_fallen:
            self._fail_for(self._ends.holding_differences(carrier))

    def _check_notifications(self, order: Row) -> None:
        """Check that producers got the documents they asked for, in order, and the end as it is."""
        notify = order["request"].get("notify")
        documents = self.inbox.documents.get(order["order_id"], [])
        first = list(dict.fromkeys(document["version"] for document in documents))
        forgotten = self.has_fallen and order["history_lost_at"] is not None  # then versions are given out again
        if first != sorted(first) and not forgotten:
            self.fail(f"the producer of order {order['order_id']} received versions {first} in this order")
        if notify is None or order["state"] not in notify.get("on", FINAL_STATES):
            return
        # A worker that was frozen past its lease sends a document that others sent long before; its version says so.
        last = max(documents, key=lambda each: int(each["version"]), default={})
        if forgotten:  # what was sent before the fall may come after the end, with a greater version
            last = next((each for each in documents if each["state"] == order["state"]), last)
        numbers = {(number["e164"], number["state"]) for number in last.get("numbers", ())}
        if last.get("state") != order["state"] or not self._ends.numbers(order) <= numbers:
            self.fail(f"order {order['order_id']} ended {order['state']}, but its producer last received {last}")

    def story(self, order_id: UUID) -> str:
        """Return the events of an order in one line."""
        return " ".join(event["event"] for event in self.tables.events[order_id])


def _detail(statement: str, params: Mapping[str, Any], rows: list[Row]) -> str:
    """Describe for the trace what a statement did."""
    match statement:
        case "record_steps":
            done = {row["order_id"] for row in rows}
            steps = params["steps"].obj
            written = [
                (s["order_id"], s["event"], s["state"], "" if UUID(s["order_id"]) in done else "stale") for s in steps
            ]
            return " ".join(f"{i}:{event}->{state}{stale}" for i, event, state, stale in written)
        case "claim" | "claim_unlimited":
            taken = " ".join(str(row["order_id"]) for row in rows if row["order_id"])
            return f"{params['carrier']}/{params['lane']} {taken}"
        case "raise_alarm":
            return f"{params['what']} {params['subject']} {params['detail']}"
        case "pause_limit":
            return f"{params['carrier']} {params['limit_group']} until {params['until']}"
        case "count_faults":
            return f"{params['carrier']} {params['faults']} until {[row['held_until'] for row in rows]}"
        case _:
            return ""
