"""Conversations about removals, which Bandwidth calls disconnects.

Disconnecting a number twice does it no harm. So doubt is settled sooner than for purchases: what is not among the
records that were read may be sent again. If a number is then "not ours", the ledger and Bandwidth are asked whether it
was ours before. Opens no socket, reads no clock, retries nothing.

Source: Bandwidth/api-docs, site/specs/numbers_v2.yml and site/docs/numbers/disconnectNumbers.mdx, errors.mdx.
"""

from collections.abc import Generator, Iterator, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from number_orders.carriers.bandwidth.answers import (
    decode_disconnect_page,
    decode_look,
    decode_order,
    decode_submission,
    nearest_candidates,
    parked_if_not_ours,
    was_released,
)
from number_orders.carriers.bandwidth.facts import (
    DISCONNECT_PAGE_SIZE,
    DISCONNECT_PAGES_MAX,
    DISCONNECTS_READ_MAX,
    FIRST_PAGE,
    FORGOTTEN_DAYS,
    UNKNOWN_NUMBERS_READ_MAX,
    UNMENTIONED_NUMBERS_READ_MAX,
)
from number_orders.carriers.bandwidth.outcomes import NumberLook
from number_orders.carriers.bandwidth.removals import (
    end_of_refusal,
    numbers_not_ours,
    numbers_refused_as_not_ours,
    open_removal,
    removal_end,
    unmentioned_numbers,
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
from number_orders.carriers.found_content import park_other_content
from number_orders.orders.errors import Mistake
from number_orders.orders.events import UNKNOWN_ORDER, Acknowledged, NotListed, Refused, StillOpen
from number_orders.orders.model import CarrierOrderId, Kind, Order
from number_orders.orders.numbers import E164

_DAY: Final = timedelta(days=1)

DisconnectLookup = Generator[CarrierRequest, CarrierAnswer, list[ListedOrder]]


def get_number(e164: E164) -> CarrierRequest:
    """Return the request that looks up one number."""
    return CarrierRequest("GET", f"/api/v2/tns/{quote(e164, safe='')}", Purpose.READ)


class Disconnects:
    """The conversations about removals of one account."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self._path = f"/api/v2/accounts/{quote(account_id, safe='')}/disconnects"

    def submit(self, order: Order) -> Conversation:
        """Send the removal with one POST."""
        body = write_disconnect(order.request, reference=order.reference)
        answer = yield CarrierRequest("POST", self._path, Purpose.COMMIT, body=body, content_type="application/xml")
        event = decode_submission(order, answer, read=read_disconnect, parent="/disconnects")
        if not isinstance(event, Refused):
            return event
        released_before = yield from self._released_before(order, numbers_refused_as_not_ours(event))
        return end_of_refusal(order, event, released_before)

    def ask(self, order: Order) -> Conversation:
        """Ask for the status of a removal."""
        if order.carrier_order_id is None:
            raise Mistake(f"order {order.order_id} is {order.state} and has no carrier order id to ask for")
        answer = yield self._get(order.carrier_order_id)
        if answer.status == HTTPStatus.NOT_FOUND:
            detail = "the carrier does not know its own disconnect any more"
            return StillOpen(UNKNOWN_ORDER, detail=detail, unheard_of=True)
        view, status = decode_order(answer, order.carrier_order_id, read=read_disconnect)
        if unfinished := parked_if_not_ours(order, view) or open_removal(view, status):
            return unfinished
        released_before = yield from self._released_before(order, numbers_not_ours(order, view))
        looks: dict[E164, NumberLook] = {}
        for e164 in unmentioned_numbers(order, view, status)[:UNMENTIONED_NUMBERS_READ_MAX]:
            looks[e164] = decode_look((yield get_number(e164)), self._account_id)
        return removal_end(order, view, status, released_before, looks)

    def look_for(self, order: Order) -> Conversation:
        """Look for our reference in the disconnects that are nearest in time to the lost answer.

        The list neither shows references nor filters by them, so each candidate is read.
        """
        recent = yield from self._recent(order)
        candidates = nearest_candidates(recent, order)[:DISCONNECTS_READ_MAX]
        for candidate in candidates:
            answer = yield self._get(candidate)
            if answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
                continue
            view, status = decode_order(answer, candidate, read=read_disconnect)
            if view.reference == order.reference:
                removal, numbers = Kind.REMOVE_NUMBERS, view.ordered
                other = order.history_lost_at and park_other_content(order, candidate, kind=removal, numbers=numbers)
                return other or Acknowledged(candidate, status)
        return NotListed(f"the disconnects of that time, of which {len(candidates)} were read")

    def _released_before(self, order: Order, not_ours: tuple[E164, ...]) -> ConversationOf[frozenset[E164]]:
        """Return those of the numbers that an earlier send has disconnected. The others were never ours.

        What the ledger holds was ours. What it does not know may have been bought elsewhere: Bandwidth shows such a
        number as ours for a while after it was disconnected. The first few are looked up, and the rest counts as
        disconnected.
        """
        sent_again = order.sends > 1 and order.doubt_since is not None  # also by a person, with no answer lost
        if not (order.may_have_arrived or sent_again) or not not_ours:
            return frozenset()
        known = yield LookUpNumbers(not_ours)
        unknown = [e164 for e164 in not_ours if e164 not in known.held_since]
        never_ours = set()
        for e164 in unknown[:UNKNOWN_NUMBERS_READ_MAX]:
            if not was_released((yield get_number(e164)), self._account_id):
                never_ours.add(e164)
        return frozenset(not_ours) - never_ours

    def _get(self, carrier_order_id: CarrierOrderId) -> CarrierRequest:
        return CarrierRequest("GET", f"{self._path}/{quote(carrier_order_id, safe='')}", Purpose.READ)

    def _recent(self, order: Order) -> DisconnectLookup:
        """Return the disconnects of the days in question; of all days if Bandwidth refuses the dates."""
        found: list[ListedOrder] = []
        dates, page, pages_read = _days(order), FIRST_PAGE, 0
        while pages_read < DISCONNECT_PAGES_MAX:
            query = {"page": page, "size": str(DISCONNECT_PAGE_SIZE), **dates}
            answer = yield CarrierRequest("GET", self._path, Purpose.READ, query)
            if answer.status == HTTPStatus.BAD_REQUEST and dates:
                dates = {}
                continue
            shown = decode_disconnect_page(answer)
            found += shown.orders
            pages_read += 1
            if shown.next_page in {None, page} or not shown.orders:
                break
            page = str(shown.next_page)
        return found


def _days(order: Order) -> Mapping[str, str]:
    """Return the days on which the removal was sent, and one more on both sides: the time zone is not documented."""
    first, last = order.accepted_at, order.doubt_since or order.accepted_at
    if order.history_lost_at:  # it may have been sent before it was accepted as far as this ledger knows
        first = min(first, order.history_lost_at) - FORGOTTEN_DAYS * _DAY
    return dict(_date_range(first - _DAY, last + _DAY))


def _date_range(first: datetime, last: datetime) -> Iterator[tuple[str, str]]:
    yield "startdate", f"{first:%y-%m-%d}"
    yield "enddate", f"{last:%y-%m-%d}"
