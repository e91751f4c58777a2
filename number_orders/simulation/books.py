"""The carriers' own books: what they really did for an order, and what excuses an end that says otherwise."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from number_orders.orders.model import CarrierName, Kind
from number_orders.simulation.carriers import POLICIES, Sale, SimulatedCarrier
from number_orders.simulation.faults import LISTING_MAX_S
from number_orders.simulation.operators import MISTAKEN
from number_orders.simulation.tables import Row, Tables

BY_HAND: Final = ""
"""The reference of what others made on the account."""
_CLOSING: Final = frozenset({"WrittenOff", "CutShort", "TakenAsItIs"})


class Excuse(StrEnum):
    """Why an end may say less than the carrier did. Every promise has its condition; these break it."""

    LISTED_TOO_LATE = "listed too late"
    """The carrier listed the order when it had been looked for long enough."""
    NUMBERS_TOO_LATE = "numbers too late"
    """The carrier listed numbers when an end without them had been believed."""
    CLOSED_BY_MISTAKE = "closed by mistake"
    """A person closed the order while the carrier had it."""
    CLOSED_BEFORE_WITHDRAWAL = "closed before a withdrawal"
    """A person closed the order with a number that the carrier withdrew after that."""
    ADOPTED_BY_MISTAKE = "adopted by mistake"
    """A person adopted a carrier order that was not the order's."""
    BY_HAND = "by hand"
    """Somebody bought or removed by hand what could be the order's."""


@dataclass(frozen=True, slots=True)
class Books:
    """Reads the carriers' books for the monitor."""

    tables: Tables
    carriers: Mapping[CarrierName, SimulatedCarrier]
    _read: dict[CarrierName, tuple[datetime, Mapping[str, list[Sale]]]] = field(default_factory=dict)
    """The books as they were read last. They are read once for all the checks of one moment."""

    def forget(self, carrier: CarrierName) -> None:
        """Read a carrier's books again: it has acted."""
        self._read.pop(carrier, None)

    def by_reference(self, carrier: CarrierName) -> Mapping[str, list[Sale]]:
        """Return everything that a carrier did, by our references."""
        now, (read_at, sold) = self.tables.clock(), self._read.get(carrier, (None, {}))
        if read_at != now:
            sold = {}
            for sale in self.carriers[carrier].sales():
                sold.setdefault(sale["customer_order_id"], []).append(sale)
            self._read[carrier] = now, sold
        return sold

    def sales(self, order: Row) -> list[Sale]:
        """Return what the carrier did under the reference of an order."""
        return self.by_reference(order["carrier"]).get(order["reference"], [])

    def by_hand(self, carrier: CarrierName) -> list[Sale]:
        """Return what others made on the accounts."""
        return self.by_reference(carrier).get(BY_HAND, [])

    def removed(self, carrier: CarrierName) -> set[str]:
        """Return the numbers that were ever removed, by hand or by an order of ours."""
        return {e164 for sales in self.by_reference(carrier).values() for sale in sales for e164 in released(sale)}

    def is_removing(self, carrier: CarrierName) -> bool:
        """Return whether a removal that somebody made by hand is under way: its numbers are not ours any more."""
        return any(sale["ended_at"] is None for sale in self.by_hand(carrier) if not acquired(sale))

    def excuses(self, order: Row, sales: Sequence[Sale]) -> set[Excuse]:
        """Return what excuses an end of this order that says less than the carrier did."""
        checks = {
            Excuse.LISTED_TOO_LATE: any(map(is_listed_too_late, sales)),
            Excuse.NUMBERS_TOO_LATE: any(_has_numbers_too_late(sale) for sale in sales),
            Excuse.CLOSED_BY_MISTAKE: self._decided_by_mistake(order, _CLOSING),
            Excuse.CLOSED_BEFORE_WITHDRAWAL: bool(withdrawn(sales)) and self._was_closed(order),
            Excuse.ADOPTED_BY_MISTAKE: self._decided_by_mistake(order, {"Adopted"}),
            Excuse.BY_HAND: bool(self.mixed_up(order, sales)),
        }
        return {excuse for excuse, holds in checks.items() if holds}

    def _decided_by_mistake(self, order: Row, events: Iterable[str]) -> bool:
        story = self.tables.events[order["order_id"]]
        return any(event["event"] in events and event["detail"].get("by") == MISTAKEN for event in story)

    def _was_closed(self, order: Row) -> bool:
        return any(event["event"] in _CLOSING for event in self.tables.events[order["order_id"]])

    def mixed_up(self, order: Row, sales: Sequence[Sale]) -> set[str]:
        """Return the numbers bought or removed by hand that cannot be told from the order's own.

        That is what was removed of it or named by it, and at Swift, which never says which numbers an order brought,
        what was bought in the same area of any account from when the order was accepted, by hand or by an order that
        was closed while the carrier had it, or that is listed too late. Of such an order itself, that is what another
        order took for its own.
        """
        named = {*order["request"].get("numbers", ()), *(e164 for sale in sales for e164 in acquired(sale))}
        others = self.by_hand(order["carrier"])
        touched = {e164 for sale in others for e164 in (*released(sale), *acquired(sale))} & named
        if order["carrier"] != "swift" or order["kind"] != Kind.NEW_NUMBERS:
            return touched
        area, ended_at = "+1" + order["request"]["criteria"].get("npa", ""), order["ended_at"] or self.tables.clock()
        if any(event["event"] == "LookedAgain" for event in self.tables.events[order["order_id"]]):
            ended_at = self.tables.clock()  # a late look sees all that has come since
        rows = [row for row in self.tables.orders.values() if row is not order and row["carrier"] == order["carrier"]]
        unseen = [sale for row in rows for sale in self.sales(row) if self._was_closed(row) or is_listed_too_late(sale)]
        meanwhile = (
            sale
            for sale in (*others, *unseen)
            if sale["ended_at"] and order["accepted_at"] <= moment(sale["ended_at"]) <= ended_at
        )
        theirs = {e164 for sale in meanwhile for e164 in acquired(sale) if e164.startswith(area)}
        return touched | theirs | self._taken_by_others(order, sales)

    def _taken_by_others(self, order: Row, sales: Sequence[Sale]) -> set[str]:
        """Return the numbers of an order that gave its serial lock back too soon, and that another order reports."""
        if not (self._was_closed(order) or any(map(is_listed_too_late, sales))):
            return set()
        others = (row for row in self.tables.orders.values() if row is not order and row["carrier"] == order["carrier"])
        reported = {e164 for row in others for e164 in self.tables.numbers[row["order_id"]]}
        return {e164 for sale in sales for e164 in acquired(sale)} & reported

    def ledger_holds(self, carrier: CarrierName) -> dict[str, UUID]:
        """Return the numbers that the ledger holds at a carrier, and the orders that brought them."""
        rows = (row for row in self.tables.held if row["carrier"] == carrier and row["released_at"] is None)
        return {row["e164"]: row["acquired_by"] for row in rows}


def moment(text: str) -> datetime:
    """Read a moment of a carrier's books."""
    return datetime.fromisoformat(text)


def acquired(sale: Sale) -> list[str]:
    """Return the numbers that an order has bought or added."""
    return sorted((*sale["bought"], *sale.get("added", ())))


def withdrawn(sales: Iterable[Sale]) -> set[str]:
    """Return the numbers that orders had or showed, and lost."""
    return {e164 for sale in sales for e164 in sale.get("withdrawn", ())}


def released(sale: Sale) -> Sequence[str]:
    """Return the numbers that an order has removed."""
    gone: Sequence[str] = sale.get("released") or sale.get("removed") or ()
    return gone


def is_removal(sale: Sale) -> bool:
    """Return whether an order at a carrier removes numbers."""
    return str(sale["kind"]).startswith(("disconnect", "REMOVE"))


def may_buy(sale: Sale) -> bool:
    """Return whether an order at a carrier has bought something, or still may."""
    return bool(acquired(sale)) or sale["outcome"] not in {"FAILED", "CANCELLED"}


def is_listed_too_late(sale: Sale) -> bool:
    """Return whether an order was listed only when no client can look for it any more."""
    listed_at = sale.get("listed_at")
    return listed_at is not None and moment(listed_at) - moment(sale["created_at"]) > timedelta(seconds=LISTING_MAX_S)


def _has_numbers_too_late(sale: Sale) -> bool:
    """Return whether a list showed a number only when an end without it may have been believed."""
    if not sale["ended_at"] or "lists_complete_at" not in sale:
        return False
    settle_after = POLICIES[sale["carrier"]].settle_after
    return moment(sale["lists_complete_at"]) - moment(sale["ended_at"]) > settle_after


def summary(sales: Iterable[Sale]) -> list[tuple[object, ...]]:
    """Return what a carrier did under one reference, for a person to read."""
    return [(sale["order_id"], sale["status"], sale["outcome"], acquired(sale), released(sale)) for sale in sales]
