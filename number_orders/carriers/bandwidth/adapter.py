"""Bandwidth's numbers API: orders become requests, answers become events.

Holds the conversations: what is asked, in which turn, and what an answer means for the order; those about
removals are in `bandwidth_disconnects`. The XML is read and written in `bandwidth_xml`, ends are judged in
`bandwidth_verdict`, what would not be taken is found in `bandwidth_rules`, and every code, limit and
assumption stands in `bandwidth_facts`. Opens no socket, reads no clock, repeats nothing.

Source: Bandwidth's page "Order Numbers" (Universal Platform, API v2); Bandwidth/api-docs,
site/specs/numbers_v2.yml and site/docs/numbers/errors.mdx.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from number_orders.carriers.bandwidth import cancellation as closing
from number_orders.carriers.bandwidth.answers import Listing, about_another, bought_by, ordered, submitted, true_list
from number_orders.carriers.bandwidth.cancellation import Closing
from number_orders.carriers.bandwidth.disconnects import Disconnects
from number_orders.carriers.bandwidth.facts import (
    CARRIER,
    FIRST_PAGE,
    LIMIT_GROUPS,
    NUMBERS_LOOKED_AT,
    PAGE_SIZE,
    QUANTITY_MAX,
)
from number_orders.carriers.bandwidth.outcomes import (
    End,
    Ending,
    ending,
    is_taken,
    plain_end,
    split_between,
    still_open,
    taken,
    weighed_end,
)
from number_orders.carriers.bandwidth.reservations import BandwidthReservations
from number_orders.carriers.bandwidth.rules import faults
from number_orders.carriers.bandwidth.xml import OrderView, write_closing, write_order
from number_orders.carriers.contract import (
    Capabilities,
    CarrierAnswer,
    CarrierRequest,
    Conversation,
    ConversationOf,
    Purpose,
)
from number_orders.orders.errors import Fault, Mistake, NotOffered
from number_orders.orders.events import Acknowledged, Event, FoundTwice, NotListed, Refused, StillOpen
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, Order, OrderRequest
from number_orders.orders.numbers import E164

_XML: Final = "application/xml"

Look = Generator[CarrierRequest, CarrierAnswer, tuple[CarrierOrderId, OrderView] | None]


@dataclass(frozen=True, slots=True)
class Sight:
    """An order of ours as Bandwidth shows it."""

    view: OrderView
    status: str


class Bandwidth:
    """Translates orders to and from Bandwidth's dialect; never opens a socket.

    `site_id` is the sub-account that numbers go to, and `peer_id` its location, unless an order's
    options say otherwise; without a location Bandwidth takes the sub-account's default.
    """

    def __init__(self, account_id: str, site_id: str, *, peer_id: str | None = None) -> None:
        self._account_id = account_id
        self._site_id = site_id
        self._peer_id = peer_id
        self._disconnects = Disconnects(account_id)
        self._reservations = BandwidthReservations(account_id)
        self._orders = f"/api/v2/accounts/{quote(account_id, safe='')}/orders"

    @property
    def name(self) -> CarrierName:
        """The carrier's name in orders and settings."""
        return CarrierName(CARRIER)

    @property
    def capabilities(self) -> Capabilities:
        """What Bandwidth offers, as far as this adapter goes."""
        return Capabilities(
            kinds=frozenset({Kind.NEW_NUMBERS, Kind.REMOVE_NUMBERS}),
            quantity_max=QUANTITY_MAX,
            partial_fill=True,
            backorder=True,
            found_by_reference=True,
            limit_groups=LIMIT_GROUPS,
            cancellable=frozenset({Kind.NEW_NUMBERS}),
            reserves=True,
        )

    @property
    def reservations(self) -> BandwidthReservations:
        """What can be asked about reservations."""
        return self._reservations

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything Bandwidth would not take; empty when the order is good."""
        return faults(request)

    def serial_key(self, request: OrderRequest) -> None:
        """Orders here are told apart by their reference, so none needs anything to itself."""

    def submit(self, order: Order) -> Conversation:
        """Send the order: one POST. Ends in Acknowledged, Refused, NotSent or AnswerLost."""
        if order.request.kind is Kind.REMOVE_NUMBERS:
            return (yield from self._disconnects.submit(order))
        if order.request.kind is not Kind.NEW_NUMBERS:
            raise NotOffered(f"order {order.order_id}: Bandwidth is not asked for {order.request.kind}")
        body = write_order(order.request, reference=str(order.order_id), site_id=self._site_id, peer_id=self._peer_id)
        answer = yield CarrierRequest("POST", self._orders, Purpose.COMMIT, body=body, content_type=_XML)
        return submitted(order, answer)

    def ask(self, order: Order) -> Conversation:
        """Ask how an OPEN order stands; asks on when the answer contradicts itself.

        One that was called back is closed as soon as it is a backorder, and then looked at once more.
        """
        if order.request.kind is Kind.REMOVE_NUMBERS:
            return (yield from self._disconnects.ask(order))
        taken_as = closing.remembered(order)
        seen = yield from self._seen(order)
        if isinstance(seen, Sight) and closing.is_wanted(order, seen.status):
            taken_as = yield from self._close(order)
            seen = yield from self._seen(order)
        if not isinstance(seen, Sight):
            return seen
        if waiting := still_open(seen.view, seen.status):
            return closing.while_open(order, waiting, taken_as)
        end: Event = yield from self._ended(order, seen.view, seen.status)
        if order.losses:
            end = yield from self._after_a_loss(order, seen.view, seen.status, end)
        return closing.at_the_end(end, taken_as)

    def look_for(self, order: Order) -> Conversation:
        """Look for an order IN_DOUBT by our reference, and named numbers by themselves."""
        if order.request.kind is Kind.REMOVE_NUMBERS:
            return (yield from self._disconnects.look_for(order))
        found = yield from self._listed(order)
        if len(found) > 1:
            return FoundTwice(tuple(found))
        if found:
            return Acknowledged(*next(iter(found.items())))
        earlier = yield from self._owner(order, order.request.numbers)
        if earlier:
            return Acknowledged(earlier[0], earlier[1].status)
        looked = "the list of orders by our reference"
        return NotListed(f"{looked}, and its first numbers" if order.request.numbers else looked)

    def _seen(self, order: Order) -> ConversationOf[Sight | Event]:
        """Return the order as it stands, or what it means that it cannot be seen as ours."""
        if order.carrier_order_id is None:
            raise Mistake(f"order {order.order_id} is {order.state} and has no carrier order id to ask for")
        answer = yield self._get_order(order.carrier_order_id)
        if answer.status == HTTPStatus.NOT_FOUND:
            return StillOpen("404", detail="the carrier does not know its own order any more", unheard_of=True)
        view, status = ordered(answer, order.carrier_order_id)
        return about_another(order, view) or Sight(view, status)

    def _close(self, order: Order) -> ConversationOf[Closing]:
        """Ask Bandwidth to close a backorder, and remember that before it leaves: then no end is told for another."""
        yield closing.keep(order, Closing(closing.Taken.UNKNOWN))
        path = f"{self._orders}/{quote(str(order.carrier_order_id), safe='')}"
        body = write_closing(order.request, reference=str(order.order_id))
        answer = yield CarrierRequest("PUT", path, Purpose.PREPARE, body=body, content_type=_XML)
        taken_as = closing.reply(answer)
        yield closing.keep(order, taken_as)
        return taken_as

    def _get_order(self, carrier_order_id: str, below: str = "") -> CarrierRequest:
        return CarrierRequest("GET", f"{self._orders}/{quote(carrier_order_id, safe='')}{below}", Purpose.READ)

    def _ended(self, order: Order, view: OrderView, status: str) -> Generator[CarrierRequest, CarrierAnswer, End]:
        """Judge an order that has ended; when it contradicts itself, by its own list of numbers."""
        end = ending(status)
        assert end is not None, "every status that is not open is an end"
        if plain := plain_end(order, view, status, end):
            return plain
        answer = yield self._get_order(str(order.carrier_order_id), "/tns")
        return weighed_end(order, view, status, end, true_list(answer))

    def _after_a_loss(self, order: Order, view: OrderView, status: str, end: Event) -> ConversationOf[Event]:
        """Find out whether an earlier send of this very order has bought numbers as well."""
        other = None
        if is_taken(view.errors):
            asked = tuple(number for number in order.request.numbers if number not in view.completed.listed)
            other = yield from self._owner(order, taken(view) or asked)
        if other is None and order.sends > 1:
            other = yield from self._other_listed(order)
        if other is None:
            return end
        if isinstance(end, Refused):
            return Acknowledged(other[0], other[1].status, instead_of=order.carrier_order_id)
        return split_between(order, view, status, *other)

    def _owner(self, order: Order, numbers: Sequence[E164]) -> Look:
        """Return another order of ours that bought one of these numbers."""
        for number in numbers[:NUMBERS_LOOKED_AT]:
            answer = yield CarrierRequest("GET", f"/api/v2/tns/{quote(number, safe='')}", Purpose.READ)
            named = bought_by(answer, self._account_id)
            if named and named != order.carrier_order_id and (found := (yield from self._ours(order, named))):
                return found
        return None

    def _other_listed(self, order: Order) -> Look:
        """Return another order with our reference from the list."""
        found = yield from self._listed(order)
        for other in found:
            if other != order.carrier_order_id and (ours := (yield from self._ours(order, other))):
                return ours
        return None

    def _ours(self, order: Order, carrier_order_id: CarrierOrderId) -> Look:
        """Return an order if it carries our reference and has, or may still get, numbers."""
        answer = yield self._get_order(carrier_order_id)
        if answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            return None  # somebody else's
        view, status = ordered(answer, carrier_order_id)
        if view.reference != str(order.order_id) or ending(status) is Ending.FAILED:
            return None
        return carrier_order_id, view

    def _listed(self, order: Order) -> Generator[CarrierRequest, CarrierAnswer, dict[CarrierOrderId, str | None]]:
        """Return all orders with our reference and their status, the oldest first."""
        listing = Listing(str(order.order_id))
        page: str | None = FIRST_PAGE
        while page:
            query = {"page": page, "size": str(PAGE_SIZE), "customerOrderId": str(order.order_id)}
            answer = yield CarrierRequest("GET", self._orders, Purpose.READ, query)
            page = listing.add(answer)
        return listing.found()
