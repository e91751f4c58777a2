"""Removals at Bandwidth, which calls them disconnects: what is asked, in which turn, and what follows.

Giving a number up a second time does it no harm, so doubt is settled more boldly than over purchases: what a bounded
look at the records does not show may be sent again. Of a number that is then not ours any more, the ledger and
Bandwidth itself are asked whether it ever was. Opens no socket, reads no clock, repeats nothing.

Source: Bandwidth/api-docs, site/specs/numbers_v2.yml and site/docs/numbers/disconnectNumbers.mdx, errors.mdx.
"""

from collections.abc import Generator, Iterator, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from number_orders.carriers.bandwidth.answers import (
    about_another,
    nearest,
    ordered,
    page_of_disconnects,
    submitted,
    was_given_up,
)
from number_orders.carriers.bandwidth.facts import (
    DISCONNECT_PAGE_SIZE,
    DISCONNECT_PAGES_MAX,
    DISCONNECTS_LOOKED_AT,
    FIRST_PAGE,
    STRANGERS_LOOKED_AT,
)
from number_orders.carriers.bandwidth.removals import (
    not_ours_now,
    refused_as_not_ours,
    removal_end,
    still_removing,
    with_the_gone,
)
from number_orders.carriers.bandwidth.xml import ListedOrder, read_disconnect, write_disconnect
from number_orders.carriers.contract import (
    CarrierAnswer,
    CarrierRequest,
    Conversation,
    ConversationOf,
    LookUpNumbers,
    Purpose,
)
from number_orders.orders.errors import Mistake
from number_orders.orders.events import Acknowledged, NotListed, Refused, StillOpen
from number_orders.orders.model import CarrierOrderId, Order
from number_orders.orders.numbers import E164

_DAY: Final = timedelta(days=1)

Listed = Generator[CarrierRequest, CarrierAnswer, list[ListedOrder]]


class Disconnects:
    """The conversations about removals on one account."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self._path = f"/api/v2/accounts/{quote(account_id, safe='')}/disconnects"

    def submit(self, order: Order) -> Conversation:
        """Send the removal: one POST."""
        body = write_disconnect(order.request, reference=str(order.order_id))
        answer = yield CarrierRequest("POST", self._path, Purpose.COMMIT, body=body, content_type="application/xml")
        event = submitted(order, answer, read=read_disconnect, below="/disconnects")
        if not isinstance(event, Refused):
            return event
        gone = yield from self._given_up_before(order, refused_as_not_ours(event))
        return with_the_gone(order, event, gone)

    def ask(self, order: Order) -> Conversation:
        """Ask how a removal stands."""
        if order.carrier_order_id is None:
            raise Mistake(f"order {order.order_id} is {order.state} and has no carrier order id to ask for")
        answer = yield self._get(order.carrier_order_id)
        if answer.status == HTTPStatus.NOT_FOUND:
            return StillOpen("404", detail="the carrier does not know its own disconnect any more", unheard_of=True)
        view, status = ordered(answer, order.carrier_order_id, read=read_disconnect)
        if unfinished := about_another(order, view) or still_removing(view, status):
            return unfinished
        gone = yield from self._given_up_before(order, not_ours_now(order, view))
        return removal_end(order, view, status, gone)

    def look_for(self, order: Order) -> Conversation:
        """Look for our reference in the disconnects nearest to the moment at which the answer was lost.

        The list neither shows references nor filters by them, so each candidate is read.
        """
        recent = yield from self._recent(order)
        candidates = nearest(recent, order)[:DISCONNECTS_LOOKED_AT]
        for candidate in candidates:
            answer = yield self._get(candidate)
            if answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
                continue
            view, status = ordered(answer, candidate, read=read_disconnect)
            if view.reference == str(order.order_id):
                return Acknowledged(candidate, status)
        return NotListed(f"the disconnects of that time, of which {len(candidates)} were read")

    def _given_up_before(self, order: Order, not_ours: tuple[E164, ...]) -> ConversationOf[frozenset[E164]]:
        """Return those that an earlier send gave up; the others were never ours.

        What the ledger holds was ours. What it has never heard of may have been bought elsewhere: Bandwidth shows it as
        ours for a while after it was given up. It is asked about a few, and the rest is believed gone.
        """
        if not order.losses or not not_ours:
            return frozenset()
        known = yield LookUpNumbers(not_ours)
        unknown = [e164 for e164 in not_ours if e164 not in known.held_since]
        strangers = set()
        for e164 in unknown[:STRANGERS_LOOKED_AT]:
            answer = yield CarrierRequest("GET", f"/api/v2/tns/{quote(e164, safe='')}", Purpose.READ)
            if not was_given_up(answer, self._account_id):
                strangers.add(e164)
        return frozenset(not_ours) - strangers

    def _get(self, carrier_order_id: CarrierOrderId) -> CarrierRequest:
        return CarrierRequest("GET", f"{self._path}/{quote(carrier_order_id, safe='')}", Purpose.READ)

    def _recent(self, order: Order) -> Listed:
        """Return the disconnects of the days in question; of all days where dates are not understood."""
        found: list[ListedOrder] = []
        dates, page, turned = _days(order), FIRST_PAGE, 0
        while turned < DISCONNECT_PAGES_MAX:
            query = {"page": page, "size": str(DISCONNECT_PAGE_SIZE), **dates}
            answer = yield CarrierRequest("GET", self._path, Purpose.READ, query)
            if answer.status == HTTPStatus.BAD_REQUEST and dates:
                dates = {}
                continue
            shown = page_of_disconnects(answer)
            found += shown.orders
            turned += 1
            if shown.following in {None, page} or not shown.orders:
                break
            page = str(shown.following)
        return found


def _days(order: Order) -> Mapping[str, str]:
    """Return the days on which the removal was sent, with one more at either end: whose midnight counts is unsaid."""
    last = order.doubt_since or order.accepted_at
    return dict(_dated(order.accepted_at - _DAY, last + _DAY))


def _dated(first: datetime, last: datetime) -> Iterator[tuple[str, str]]:
    yield "startdate", f"{first:%y-%m-%d}"
    yield "enddate", f"{last:%y-%m-%d}"
