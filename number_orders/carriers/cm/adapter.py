"""Translate orders into CM.com's number requests, and its answers into events.

This module has the conversations: which requests are sent in which order. `json` reads and writes JSON, `answers`
judges single answers, `rules` and `restrictions` find what CM.com would refuse, `cancellation` cancels number requests,
and `facts` has every name and assumption. Opens no socket, reads no clock, retries nothing.

Source: CM.com's page "Create Number Request" and guide "Requesting phone numbers via API" (Voice Management).
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from number_orders.carriers.cm.answers import (
    RequestList,
    decode_request,
    decode_submission,
    event_for,
    page_query,
    parked_if_not_ours,
)
from number_orders.carriers.cm.cancellation import PROGRESS, cancel, should_cancel, with_cancel_reply
from number_orders.carriers.cm.facts import CARRIER, QUANTITY_MAX, REQUESTS_PATH, STATUSES, StatusMeaning, normalized
from number_orders.carriers.cm.json import digest_in, reference_of, write_request
from number_orders.carriers.cm.notices import CMNotices
from number_orders.carriers.cm.restrictions import ask_allowance, range_fault
from number_orders.carriers.cm.rules import Profiles, faults, profile_key
from number_orders.carriers.contract import Capabilities, CarrierAnswer, CarrierRequest, Conversation, Purpose
from number_orders.carriers.found_content import park_other_content
from number_orders.carriers.notices import NoticeAddresses
from number_orders.carriers.several_orders import EndEvent, bought_numbers, end_of_several, waits_for_others
from number_orders.orders.errors import Fault, Mistake, NotOffered
from number_orders.orders.events import (
    UNKNOWN_ORDER,
    Acknowledged,
    Event,
    FoundTwice,
    NotListed,
    NotSent,
    Refused,
    StillOpen,
)
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, Order, OrderRequest

_JSON: Final = "application/json"
_NO_STATUSES: Final[Mapping[str, StatusMeaning]] = MappingProxyType({})


class CM:
    """Translates orders to and from CM.com's JSON; never opens a socket."""

    def __init__(
        self,
        account_guid: str,
        company_profiles: Profiles,
        *,
        statuses: Mapping[str, StatusMeaning] = _NO_STATUSES,
        callback_url: str | None = None,
        addresses: NoticeAddresses | None = None,
    ) -> None:
        """Set up the adapter for one account.

        Args:
            account_guid: The logical account or voice account that numbers go to.
            company_profiles: Who operates the numbers, by country and number type: `NLD:local` → GUID.
            statuses: What CM.com's status words mean. Added to `facts.STATUSES`, and overrides it.
            callback_url: Where CM.com reports changes of a number request, if the operator has a listener there.
                This service does not need it: it learns everything by asking.
            addresses: Where our receiver takes these reports, at an address of each order, unless `callback_url` is
                set.
        """
        self._account = account_guid
        self._requests = REQUESTS_PATH.format(account=quote(account_guid, safe=""))
        self._callback_url = callback_url
        self._addresses = addresses
        self._profiles = company_profiles
        self._statuses = {normalized(word): meaning for word, meaning in (*STATUSES.items(), *statuses.items())}

    @property
    def name(self) -> CarrierName:
        """The carrier's name in orders and settings."""
        return CarrierName(CARRIER)

    @property
    def capabilities(self) -> Capabilities:
        """What CM.com offers through this adapter."""
        return Capabilities(
            kinds=frozenset({Kind.NEW_NUMBERS}),
            quantity_max=QUANTITY_MAX,
            partial_fill=True,
            backorder=False,
            found_by_reference=True,
            cancellable=frozenset({Kind.NEW_NUMBERS}),
        )

    @property
    def notices(self) -> CMNotices:
        """How CM.com's callbacks are sent and read."""
        return CMNotices()

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything that CM.com would refuse; empty if the order is good."""
        return faults(request, self._profiles)

    def serial_keys(self, request: OrderRequest) -> tuple[str, ...]:
        """Return nothing: orders are told apart by their reference, so none needs a serial lock."""
        return ()

    def submit(self, order: Order) -> Conversation:
        """Send the order with one POST. Ends in Acknowledged, Refused, NotSent or AnswerLost.

        Before an order for ranges is sent, CM.com is asked which range sizes it allows. Without an answer nothing is
        sent.
        """
        criteria = order.request.criteria
        if order.request.kind is not Kind.NEW_NUMBERS or criteria is None:
            raise NotOffered(f"order {order.order_id}: CM.com does not take {order.request.kind}, or not by name")
        profile = self._profiles.get(profile_key(criteria))
        if profile is None:  # it was there when the order was accepted
            return NotSent(f"no company profile is set up for {profile_key(criteria)} any more")
        if order.request.range_size is not None:
            allowed = yield from ask_allowance(self._account, profile_key(criteria), profile)
            if fault := range_fault(order.request.range_size, allowed):
                return Refused(str(fault))
        body = write_request(order, profile, self._callback_url or self._own_address(order))
        answer = yield CarrierRequest(
            "POST", self._requests, Purpose.COMMIT, body=body, content_type=_JSON, accept=_JSON
        )
        return decode_submission(order, answer)

    def ask(self, order: Order) -> Conversation:
        """Ask for the status of an OPEN order. People decide at CM.com, so it may stay open for days.

        Before a cancelled order is cancelled at CM.com it is read, so that a failing cancellation hides no end. It is
        read again afterwards.
        """
        if order.carrier_order_id is None:
            raise Mistake(f"order {order.order_id} is {order.state} and has no carrier order id to ask for")
        path = f"{self._requests}/{quote(order.carrier_order_id, safe='')}"
        event = yield from self._read_event(order, path)
        reply = order.progress.get(PROGRESS)
        if should_cancel(order, event, self._statuses):
            reply = yield from cancel(order, path)
            event = yield from self._read_event(order, path)
        if order.losses and isinstance(event, EndEvent):
            event = yield from self._end_after_lost_answer(order, order.carrier_order_id, event)
        return with_cancel_reply(event, reply)

    def look_for(self, order: Order) -> Conversation:
        """Look for an order by the comment that it was sent with. Of one that has ended all are found."""
        requests = yield from self._requests_with_reference(order)
        found = requests.found(all_wanted=order.ended_at is not None)
        if len(found) > 1:
            return FoundTwice(tuple(found))
        for guid, view in found.items():
            other = park_other_content(order, guid, quantity=view.quantity, digest=digest_in(view.comment))
            return (other if order.history_lost_at else None) or Acknowledged(guid, view.status)
        return NotListed("the comments of all number requests", shows_references=requests.shows_references)

    def _own_address(self, order: Order) -> str | None:
        """Return where our receiver takes notices about this order."""
        return self._addresses.of_order(self.name, order.reference) if self._addresses else None

    def _end_after_lost_answer(
        self, order: Order, followed: CarrierOrderId, end: EndEvent
    ) -> Generator[CarrierRequest, CarrierAnswer, Event]:
        """Return the end of an order that CM.com may have several times, once all of them have ended."""
        ends: dict[CarrierOrderId, EndEvent] = {followed: end}
        living: dict[CarrierOrderId, str] = {}
        for guid in (yield from self._requests_with_reference(order)).found(all_wanted=True):
            if guid == followed.lower():
                continue
            other = replace(order, carrier_order_id=guid)
            event = yield from self._read_event(other, f"{self._requests}/{quote(guid, safe='')}")
            if isinstance(event, EndEvent):
                ends[guid] = event
            elif isinstance(event, StillOpen) and event.carrier_status != UNKNOWN_ORDER:
                living[guid] = event.carrier_status
        if bought_numbers(end):
            return waits_for_others(end, followed, living, slow=True) if living else end_of_several(ends)
        filled = {guid: str(other_end.carrier_status) for guid, other_end in ends.items() if bought_numbers(other_end)}
        for guid, status in {**living, **filled}.items():
            return Acknowledged(guid, status, instead_of=followed)
        return end

    def _read_event(self, order: Order, path: str) -> Generator[CarrierRequest, CarrierAnswer, Event]:
        """Read the number request at `path`, and return the event for its status."""
        answer = yield CarrierRequest("GET", path, Purpose.READ, accept=_JSON)
        if answer.status == HTTPStatus.NOT_FOUND:
            detail = "the carrier does not know its own number request any more"
            return StillOpen(UNKNOWN_ORDER, detail=detail, slow=True, unheard_of=True)
        view, status = decode_request(order, answer)
        return parked_if_not_ours(order, view) or event_for(order, view, status, self._statuses)

    def _requests_with_reference(self, order: Order) -> Generator[CarrierRequest, CarrierAnswer, RequestList]:
        """Return all number requests with our reference."""
        requests = RequestList(reference_of(order))
        skip: int | None = 0
        while skip is not None:
            answer = yield CarrierRequest("GET", self._requests, Purpose.READ, page_query(skip), accept=_JSON)
            skip = requests.add(answer)
        return requests
