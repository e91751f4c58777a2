"""Compares the ends of orders, and what the ledger holds, with the carriers' own books."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from number_orders.orders.alarms import Alarm
from number_orders.orders.model import CarrierName, Kind, NumberState, State
from number_orders.simulation.books import (
    Books,
    Excuse,
    acquired,
    is_listed_too_late,
    is_removal,
    may_buy,
    moment,
    released,
    summary,
    withdrawn,
)
from number_orders.simulation.carriers import Sale
from number_orders.simulation.faults import LATE_MAX_S
from number_orders.simulation.tables import Row, Tables

_HELD: Final = {NumberState.ACQUIRED, NumberState.USABLE}
_CARRIER_OUTCOMES: Final = {
    State.COMPLETED: {"COMPLETED"},
    State.PARTIAL: {"PARTIAL"},
    State.COMPLETED_WITH_ERRORS: {"COMPLETED", "PARTIAL"},
}
_ERROR_FATES: Final = {"contradicts", "with_errors", "error_but_bought"}
"""Orders whose status and lists contradict each other, or that report errors beside all numbers."""
_UNFINDABLE: Final = frozenset({Excuse.NUMBERS_TOO_LATE, Excuse.BY_HAND})
"""What no later look at the carrier's records of an order can put right."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Compares what the service says with what the carriers did."""

    tables: Tables
    books: Books

    def numbers(self, order: Row) -> frozenset[tuple[str, str]]:
        """Return the numbers of an order and their states."""
        return frozenset((row["e164"], row["state"]) for row in self.tables.numbers[order["order_id"]].values())

    def ours(self, order: Row) -> set[str]:
        """Return the numbers that an order brought, as far as the service knows."""
        return {e164 for e164, state in self.numbers(order) if state in _HELD}

    def differences(self, order: Row, *, for_good: bool) -> Iterator[str]:
        """Yield what is wrong with an end. `for_good`: nothing more will happen, also no late look."""
        sales = self.books.sales(order)
        excuses = self.books.excuses(order, sales)
        if order["kind"] == Kind.REMOVE_NUMBERS:
            wrong = self._removal_is_wrong(order, sales, excuses, for_good=for_good)
        elif order["history_lost_at"]:
            wrong = self._end_is_wrong(order, sales) and not self._was_removed_since(order, sales)
        elif excuses:
            wrong = self._excused_end_is_wrong(order, sales, excuses, for_good=for_good)
        else:
            wrong = self._end_is_wrong(order, sales)
        if wrong:
            found = f"{order['state']} with {sorted(self.ours(order))}, but at the carrier {summary(sales)}"
            why = f" ({', '.join(sorted(excuses))})" if excuses else ""
            yield f"order {order['order_id']} ended {found}{why}: {self.story(order)}"

    def _end_is_wrong(self, order: Row, sales: Sequence[Sale]) -> bool:
        """Compare an end that nothing excuses: it is what the carrier did, number by number."""
        state, ours = State(order["state"]), sorted(self.ours(order))
        purchases = [sale for sale in sales if may_buy(sale)]
        if state in {State.FAILED, State.CANCELLED}:
            return bool(purchases or ours)
        if state is State.COMPLETED_WITH_ERRORS and not purchases:
            # The status said that all came and no number did: this end tells both, and no other end may.
            return bool(ours) or not any(sale["status"] == "COMPLETED" for sale in sales)
        if len(purchases) != 1 or purchases[0]["outcome"] not in _CARRIER_OUTCOMES[state]:
            return True
        if state is State.COMPLETED_WITH_ERRORS and not self._deserves_errors(order, sales):
            return True
        return acquired(purchases[0]) != ours

    def _was_removed_since(self, order: Row, sales: Sequence[Sale]) -> bool:
        """Return whether what an order lacks was bought and removed before the ledger found the purchase again.

        Then it is on no list any more.
        """
        missing = {e164 for sale in sales if may_buy(sale) for e164 in acquired(sale)} - self.ours(order)
        is_whole = order["state"] == State.COMPLETED
        return bool(missing) and missing <= self.books.removed(order["carrier"]) and not is_whole

    def _deserves_errors(self, order: Row, sales: Sequence[Sale]) -> bool:
        """Return whether the carrier gave a reason to end an order as COMPLETED_WITH_ERRORS, or a person did."""
        closed = any(event["event"] == "TakenAsItIs" for event in self.tables.events[order["order_id"]])
        return closed or any(sale["fate"] in _ERROR_FATES or sale.get("withdrawn") for sale in sales)

    def _excused_end_is_wrong(self, order: Row, sales: Sequence[Sale], excuses: set[Excuse], *, for_good: bool) -> bool:
        """Compare an end whose condition was broken: it may say less than the carrier did, and no number too many.

        What a late look can find must be there in the end.
        """
        ours, bought = self.ours(order), {e164 for sale in sales for e164 in acquired(sale)}
        mixed_up = self.books.mixed_up(order, sales) if Excuse.BY_HAND in excuses else set()
        adopted = bought if Excuse.ADOPTED_BY_MISTAKE not in excuses else bought | ours
        kept = withdrawn(sales) if _keeps_withdrawn(order, excuses, for_good=for_good) else set()
        if not ours <= adopted | mixed_up | kept:
            return True
        if order["state"] == State.COMPLETED and len(ours) < _wanted(order) and not mixed_up:
            return True
        return for_good and not excuses & _UNFINDABLE and not bought <= ours

    def _removal_is_wrong(self, order: Row, sales: Sequence[Sale], excuses: set[Excuse], *, for_good: bool) -> bool:
        theirs = {e164 for sale in sales if sale["ended_at"] for e164 in released(sale)}
        ours = {e164 for e164, held in self.numbers(order) if held == NumberState.RELEASED}
        if order["state"] == State.COMPLETED and ours != set(order["request"]["numbers"]):
            return True
        # A number that another order removed, or somebody by hand, is gone too, and its text says who released it.
        if not ours <= theirs | self.books.removed(order["carrier"]):
            return for_good or not self.books.is_removing(order["carrier"])
        return not excuses and not theirs <= ours

    def story(self, order: Row) -> str:
        """Return the events of an order in one line."""
        return " ".join(event["event"] for event in self.tables.events[order["order_id"]])

    # Purchases, after every action of a carrier

    def purchase_faults(self, carrier: CarrierName, reference: str, order: Row, sales: Sequence[Sale]) -> Iterator[str]:
        """Yield what is wrong with the purchases under one reference."""
        yield from self.second_purchases(reference, sales)
        purchases = [sale for sale in sales if may_buy(sale)]
        removes = order["kind"] == Kind.REMOVE_NUMBERS
        if len(sales) > order["sends"]:
            yield f"order {reference} arrived {len(sales)} times but was sent {order['sends']} times"
        ended_without = not removes and order["state"] in {State.FAILED, State.CANCELLED}
        if purchases and ended_without and not self.books.excuses(order, sales):
            yield f"order {reference} is {order['state']} but was bought from {carrier}"

    def second_purchases(self, reference: str, sales: Sequence[Sale]) -> Iterator[str]:
        """Yield what was bought more than once under one reference, also if no order of ours is known for it."""
        purchases = [sale for sale in sales if may_buy(sale) and not is_removal(sale)]
        if len(purchases) > 1 and not _was_patience_broken(purchases):
            yield f"order {reference} was bought {len(purchases)} times: {[s['order_id'] for s in purchases]}"

    # Holdings, at the end of the world

    def holding_differences(self, carrier: CarrierName) -> Iterator[str]:
        """Yield the numbers that the ledger and the carrier's accounts do not have in common."""
        ledger, account = self.books.ledger_holds(carrier), set(self.books.carriers[carrier].holdings())
        by_hand = self.books.by_hand(carrier)
        bought = {e164 for sale in by_hand for e164 in acquired(sale)}
        gone = {e164 for sale in by_hand for e164 in released(sale)}
        excused = self._excused_numbers(carrier)
        for e164 in sorted(ledger.keys() - account - gone - excused):
            story = self.story(self.tables.orders[ledger[e164]])
            yield f"{e164} is held by order {ledger[e164]} and not on the account at {carrier}: {story}"
        for e164 in sorted(account - ledger.keys() - bought - excused):
            yield f"{e164} is on the account at {carrier}, and no order holds it: {self._who(carrier, e164)}"

    def _excused_numbers(self, carrier: CarrierName) -> set[str]:
        """Return the numbers of orders that may have ended with less, or something else, than the carrier did."""
        # A person was told that two orders brought the number: a removal may have ended between them.
        excused = {row["subject"] for row in self.tables.alarms.values() if row["what"] == Alarm.NUMBER_HELD_TWICE}
        for order in self.tables.orders.values():
            if order["carrier"] != carrier:
                continue
            sales = self.books.sales(order)
            excuses = self.books.excuses(order, sales)
            if excuses & _UNFINDABLE or (excuses and order["kind"] == Kind.REMOVE_NUMBERS):
                excused |= self.ours(order) | {e164 for sale in sales for e164 in (*acquired(sale), *released(sale))}
                excused |= self.books.mixed_up(order, sales)
            if Excuse.ADOPTED_BY_MISTAKE in excuses or _keeps_withdrawn(order, excuses, for_good=True):
                excused |= self.ours(order)
        return excused

    def _who(self, carrier: CarrierName, e164: str) -> str:
        sales = [sale for sale in self.books.carriers[carrier].sales() if e164 in acquired(sale)]
        stories = [self.story(order) for sale in sales if (order := self._order_of(sale))]
        return f"{summary(sales)} {stories}"

    def _order_of(self, sale: Sale) -> Row | None:
        order_id = self.tables.references.get(sale["customer_order_id"])
        return self.tables.orders.get(order_id) if order_id else None


def _keeps_withdrawn(order: Row, excuses: set[Excuse], *, for_good: bool) -> bool:
    """Return whether an order may have what the carrier withdrew after it was closed.

    A late look lets such numbers go, but at Swift, which never says which numbers an order brought.
    """
    return Excuse.CLOSED_BEFORE_WITHDRAWAL in excuses and (not for_good or order["carrier"] == "swift")


def _was_patience_broken(purchases: Sequence[Sale]) -> bool:
    """Return whether each purchase was made while nobody could know of those before it: they were listed too late."""
    by_time = sorted(purchases, key=lambda sale: str(sale["created_at"]))
    return all(
        is_listed_too_late(before)
        and (moment(before["listed_at"]) - moment(after["created_at"])).total_seconds() > -2 * LATE_MAX_S
        for number, after in enumerate(by_time)
        for before in by_time[:number]
    )


def _wanted(order: Row) -> int:
    request = order["request"]
    return len(request.get("numbers", ())) or int(request["quantity"])
