"""Translate orders into requests of Bandwidth's numbers API, and its answers into events.

This module has the conversations about purchases: which requests are sent in which order, and what follows from an
answer. Conversations about removals are in `disconnects`. `xml` reads and writes XML, `answers` reads single answers,
`outcomes` judges ends, `rules` checks orders, and `facts` has every code, limit and assumption.
Opens no socket, reads no clock, retries nothing.

Source: Bandwidth's page "Order Numbers" (Universal Platform, API v2); Bandwidth/api-docs,
site/specs/numbers_v2.yml and site/docs/numbers/errors.mdx.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from number_orders.carriers import several_orders
from number_orders.carriers.bandwidth import cancellation
from number_orders.carriers.bandwidth.answers import (
    OrderList,
    buying_order,
    decode_look,
    decode_order,
    decode_own_list,
    decode_submission,
    may_be_forgotten,
    parked_if_not_ours,
)
from number_orders.carriers.bandwidth.cancellation import CloseReply, CloseRequest
from number_orders.carriers.bandwidth.disconnects import Disconnects, get_number
from number_orders.carriers.bandwidth.facts import (
    BACKORDERED,
    CARRIER,
    FIRST_PAGE,
    FORGOTTEN_NUMBERS_READ_MAX,
    LIMIT_GROUPS,
    OWNER_LOOKUPS_MAX,
    PAGE_SIZE,
    QUANTITY_MAX,
    UNMENTIONED_NUMBERS_READ_MAX,
)
from number_orders.carriers.bandwidth.holdings import BandwidthHoldings
from number_orders.carriers.bandwidth.notices import BandwidthNotices
from number_orders.carriers.bandwidth.outcomes import (
    EndEvent,
    EndStatus,
    NumberLook,
    Purchased,
    consistent_end,
    end_status,
    reconciled_end,
    says_taken,
    still_open,
    taken_numbers,
    unmentioned_numbers,
    without_released,
)
from number_orders.carriers.bandwidth.reservations import BandwidthReservations
from number_orders.carriers.bandwidth.rules import faults
from number_orders.carriers.bandwidth.search import other_choice
from number_orders.carriers.bandwidth.subscriptions import BandwidthSubscriptions
from number_orders.carriers.bandwidth.xml import OrderView, write_close_order, write_order
from number_orders.carriers.contract import (
    Capabilities,
    CarrierAnswer,
    CarrierRequest,
    Conversation,
    ConversationOf,
    Purpose,
)
from number_orders.carriers.found_content import park_other_content
from number_orders.carriers.several_orders import bought_numbers, end_of_several, waits_for_others
from number_orders.orders.errors import Fault, Mistake, NotOffered
from number_orders.orders.events import (
    UNKNOWN_ORDER,
    Acknowledged,
    Event,
    FilledWithErrors,
    FoundTwice,
    NotListed,
    Parked,
    Refused,
    StillOpen,
)
from number_orders.orders.model import HELD_STATES, CarrierName, CarrierOrderId, Kind, Order, OrderRequest
from number_orders.orders.numbers import E164

_XML: Final = "application/xml"

OrderLookup = Generator[CarrierRequest, CarrierAnswer, tuple[CarrierOrderId, OrderView] | None]
"""Requests that find one of our orders: its id and how Bandwidth shows it, or None."""


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """One of our orders as Bandwidth shows it. `status` is Bandwidth's word."""

    view: OrderView
    status: str


class Bandwidth:
    """Translates orders to and from Bandwidth's XML; never opens a socket.

    `site_id` is the sub-account that numbers go to, and `peer_id` its location. An order's options override both.
    Without a location, Bandwidth takes the sub-account's default.
    """

    def __init__(self, account_id: str, site_id: str, *, peer_id: str | None = None) -> None:
        self._account_id = account_id
        self._site_id = site_id
        self._peer_id = peer_id
        self._disconnects = Disconnects(account_id)
        self._reservations = BandwidthReservations(account_id)
        self._orders_path = f"/api/v2/accounts/{quote(account_id, safe='')}/orders"

    @property
    def name(self) -> CarrierName:
        """The carrier's name in orders and settings."""
        return CarrierName(CARRIER)

    @property
    def capabilities(self) -> Capabilities:
        """What Bandwidth offers through this adapter."""
        return Capabilities(
            kinds=frozenset({Kind.NEW_NUMBERS, Kind.REMOVE_NUMBERS}),
            quantity_max=QUANTITY_MAX,
            partial_fill=True,
            backorder=True,
            found_by_reference=True,
            limit_groups=LIMIT_GROUPS,
            cancellable=frozenset({Kind.NEW_NUMBERS}),
            cancels_backorders_only=True,
            reserves=True,
        )

    @property
    def reservations(self) -> BandwidthReservations:
        """The inquiries about reservations."""
        return self._reservations

    @property
    def notices(self) -> BandwidthNotices:
        """How notices are sent and read."""
        return BandwidthNotices()

    @property
    def subscriptions(self) -> BandwidthSubscriptions:
        """The inquiries about subscriptions to notices."""
        return BandwidthSubscriptions(self._account_id)

    @property
    def holdings(self) -> BandwidthHoldings:
        """The inquiries about the numbers that we hold."""
        return BandwidthHoldings(self._account_id)

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything that Bandwidth would refuse; empty if the order is good."""
        return faults(request)

    def serial_keys(self, request: OrderRequest) -> tuple[str, ...]:
        """Return nothing: orders are told apart by their reference, so none needs a serial lock."""
        return ()

    def submit(self, order: Order) -> Conversation:
        """Send the order with one POST. Ends in Acknowledged, Refused, NotSent or AnswerLost."""
        if order.request.kind is Kind.REMOVE_NUMBERS:
            return (yield from self._disconnects.submit(order))
        if order.request.kind is not Kind.NEW_NUMBERS:
            raise NotOffered(f"order {order.order_id}: {order.request.kind} cannot be ordered from Bandwidth")
        body = write_order(order.request, reference=order.reference, site_id=self._site_id, peer_id=self._peer_id)
        answer = yield CarrierRequest("POST", self._orders_path, Purpose.COMMIT, body=body, content_type=_XML)
        return decode_submission(order, answer)

    def ask(self, order: Order) -> Conversation:
        """Ask for the status of an OPEN order. Read its list of numbers too if the answer contradicts itself.

        Close a cancelled order when it is BACKORDERED, and read it again.
        """
        if order.request.kind is Kind.REMOVE_NUMBERS:
            return (yield from self._disconnects.ask(order))
        close_request = cancellation.recorded_request(order)
        shown = yield from self._read_order(order)
        if isinstance(shown, ShownOrder) and cancellation.should_close(order, shown.status):
            close_request = yield from self._close(order)
            shown = yield from self._read_order(order)
        if not isinstance(shown, ShownOrder):
            return shown
        if still_open_event := still_open(shown.view, shown.status):
            return cancellation.explain_open(order, still_open_event, close_request)
        end = yield from self._end(order, shown.view, shown.status)
        event: Event = (yield from self._end_after_lost_answer(order, end, shown.view)) if order.losses else end
        if isinstance(event, Purchased) and may_be_forgotten(order, shown.view):
            event = yield from self._without_released(order, event)
        return cancellation.end_after_request(event, close_request)

    def look_for(self, order: Order) -> Conversation:
        """Look for an order by our reference, then by the numbers that it names.

        One that has ended may have several carrier orders: all are found.
        """
        removes = order.request.kind is Kind.REMOVE_NUMBERS
        if removes and not order.history_lost_at:
            return (yield from self._disconnects.look_for(order))
        found = yield from self._orders_with_reference(order, all_wanted=order.ended_at is not None)
        if removes:  # the ledger may have forgotten a purchase with the same key
            bought = next(iter(found), None)
            other = park_other_content(order, bought, kind=Kind.NEW_NUMBERS) if bought else None
            return other or (yield from self._disconnects.look_for(order))
        if len(found) > 1:
            return FoundTwice(tuple(found))
        for named, status in found.items():
            other = (yield from self._other_content(order, named)) if order.history_lost_at else None
            return other or Acknowledged(named, status)
        buyer = yield from self._order_that_bought(order, order.request.numbers)
        if buyer:
            return Acknowledged(buyer[0], buyer[1].status)
        if order.history_lost_at and order.request.numbers:
            removal = yield from self._disconnects.look_for(order)
            if isinstance(removal, Parked):
                return removal
        looked_at = "the list of orders by our reference"
        return NotListed(f"{looked_at}, and its first numbers" if order.request.numbers else looked_at)

    def _other_content(self, order: Order, found: CarrierOrderId) -> ConversationOf[Parked | None]:
        """Return `Parked` if the order with our reference was ordered with something else."""
        view, _ = decode_order((yield self._get_order(found)), found)
        choice = None if view.ordered else other_choice(order.request, view.order_type, view.search)
        return park_other_content(
            order,
            found,
            quantity=view.ordered_quantity,
            numbers=view.ordered,
            choice=choice,
        )

    def _read_order(self, order: Order) -> ConversationOf[ShownOrder | Event]:
        """Read the order; return an event instead if Bandwidth does not know it or shows another's reference."""
        if order.carrier_order_id is None:
            raise Mistake(f"order {order.order_id} is {order.state} and has no carrier order id to ask for")
        answer = yield self._get_order(order.carrier_order_id)
        if answer.status == HTTPStatus.NOT_FOUND:
            return StillOpen(UNKNOWN_ORDER, detail="the carrier does not know its own order any more", unheard_of=True)
        view, status = decode_order(answer, order.carrier_order_id)
        return parked_if_not_ours(order, view) or ShownOrder(view, status)

    def _close(self, order: Order) -> ConversationOf[CloseRequest]:
        """Ask Bandwidth to close a backorder. Record that first, so that the end is not mistaken for another one."""
        yield cancellation.record(order, CloseRequest(CloseReply.UNKNOWN))
        path = f"{self._orders_path}/{quote(str(order.carrier_order_id), safe='')}"
        body = write_close_order(order.request, reference=order.reference)
        answer = yield CarrierRequest("PUT", path, Purpose.PREPARE, body=body, content_type=_XML)
        request = cancellation.decode_reply(answer)
        yield cancellation.record(order, request)
        return request

    def _get_order(self, carrier_order_id: str, suffix: str = "") -> CarrierRequest:
        path = f"{self._orders_path}/{quote(carrier_order_id, safe='')}{suffix}"
        return CarrierRequest("GET", path, Purpose.READ)

    def _end(self, order: Order, view: OrderView, status: str) -> Generator[CarrierRequest, CarrierAnswer, EndEvent]:
        """Return the end of an order; if the answer contradicts itself or is incomplete, with what else can be read.

        That is the order's own list of numbers, and then the numbers themselves that are still not mentioned.
        """
        end = end_status(status)
        assert end is not None, "every status that is not open is an end"
        if consistent := consistent_end(order, view, status, end):
            return consistent
        own_list = decode_own_list((yield self._get_order(str(order.carrier_order_id), "/tns")))
        looks: dict[E164, NumberLook] = {}
        for number in unmentioned_numbers(order, view, end, own_list)[:UNMENTIONED_NUMBERS_READ_MAX]:
            looks[number] = decode_look((yield get_number(number)), self._account_id, order.carrier_order_id)
        return reconciled_end(order, view, status, end, own_list, looks)

    def _without_released(self, order: Order, end: Purchased) -> ConversationOf[Purchased]:
        """Return the end of a purchase that may be forgotten, without the numbers that have left the account since.

        Bandwidth goes on listing them as bought, and the removal may be forgotten as well.
        """
        buyer = None if isinstance(end, FilledWithErrors) and end.carrier_order_ids else order.carrier_order_id
        looks: dict[E164, NumberLook] = {}
        bought = [result.e164 for result in end.numbers if result.state in HELD_STATES]
        for e164 in bought[:FORGOTTEN_NUMBERS_READ_MAX]:
            looks[e164] = decode_look((yield get_number(e164)), self._account_id, buyer)
        return without_released(end, looks)

    def _end_after_lost_answer(self, order: Order, end: EndEvent, view: OrderView) -> ConversationOf[Event]:
        """Return the end of an order that Bandwidth may have several times, once all of them have ended."""
        assert order.carrier_order_id is not None, "it was asked about by its id"
        if isinstance(end, Refused) and says_taken(view.errors):
            missing = tuple(number for number in order.request.numbers if number not in view.completed.listed)
            if buyer := (yield from self._order_that_bought(order, taken_numbers(view) or missing)):
                return Acknowledged(buyer[0], buyer[1].status, instead_of=order.carrier_order_id)
        others = yield from self._other_orders(order, end, view)
        living = {named: str(shown.status) for named, shown in others.items() if not end_status(str(shown.status))}
        if living and not bought_numbers(end):
            named, status = next(iter(living.items()))
            return Acknowledged(named, status, instead_of=order.carrier_order_id)
        if living:
            slow = all(status.upper() == BACKORDERED for status in living.values())
            return waits_for_others(end, order.carrier_order_id, living, slow=slow)
        ends: dict[CarrierOrderId, several_orders.EndEvent] = {order.carrier_order_id: end}
        for named, shown in others.items():
            ends[named] = yield from self._end(replace(order, carrier_order_id=named), shown, str(shown.status))
        if not bought_numbers(end):
            for named, other_end in ends.items():
                if bought_numbers(other_end):
                    return Acknowledged(named, other_end.carrier_status, instead_of=order.carrier_order_id)
        return end_of_several(ends)

    def _other_orders(
        self, order: Order, end: EndEvent, view: OrderView
    ) -> Generator[CarrierRequest, CarrierAnswer, dict[CarrierOrderId, OrderView]]:
        """Return all other orders with our reference that have, or may still get, numbers."""
        others: dict[CarrierOrderId, OrderView] = {}
        if says_taken(view.errors) and not isinstance(end, Refused):
            missing = tuple(number for number in order.request.numbers if number not in view.completed.listed)
            if buyer := (yield from self._order_that_bought(order, taken_numbers(view) or missing)):
                others[buyer[0]] = buyer[1]
        if others or (order.sends <= 1 and isinstance(end, Refused)):
            return others  # found by the numbers, or it was sent once, and that came to nothing
        for named in (yield from self._orders_with_reference(order, all_wanted=True)):
            if named not in {order.carrier_order_id, *others}:
                found = yield from self._order_if_ours(order, named)
                others |= dict([found]) if found else {}
        return others

    def _order_that_bought(self, order: Order, numbers: Sequence[E164]) -> OrderLookup:
        """Return another order of ours that bought one of these numbers."""
        for number in numbers[:OWNER_LOOKUPS_MAX]:
            buyer = buying_order((yield get_number(number)), self._account_id)
            if buyer and buyer != order.carrier_order_id and (found := (yield from self._order_if_ours(order, buyer))):
                return found
        return None

    def _order_if_ours(self, order: Order, carrier_order_id: CarrierOrderId) -> OrderLookup:
        """Return an order if it has our reference and has, or may still get, numbers."""
        answer = yield self._get_order(carrier_order_id)
        if answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            return None  # another account's
        view, status = decode_order(answer, carrier_order_id)
        if view.reference != order.reference or end_status(status) is EndStatus.FAILED:
            return None
        return carrier_order_id, view

    def _orders_with_reference(
        self, order: Order, *, all_wanted: bool
    ) -> Generator[CarrierRequest, CarrierAnswer, dict[CarrierOrderId, str | None]]:
        """Return the orders with our reference and their statuses, the oldest first (`OrderList.found`)."""
        orders = OrderList(order.reference)
        page: str | None = FIRST_PAGE
        while page:
            query = {"page": page, "size": str(PAGE_SIZE), "customerOrderId": order.reference}
            answer = yield CarrierRequest("GET", self._orders_path, Purpose.READ, query)
            page = orders.add(answer)
        return orders.found(all_wanted=all_wanted)
