"""CM.com's number requests: orders become requests, answers become events.

Holds the conversations: what is asked, in which turn. JSON is read and written in `cm_json`, answers are judged in
`cm_answers`, what would not be taken is found in `cm_rules` and `cm_restrictions`, requests are called back by
`cm_cancel`, and every name and assumption stands in `cm_facts`.
Opens no socket, reads no clock, repeats nothing.

Source: CM.com's page "Create Number Request" and guide "Requesting phone numbers via API" (Voice Management).
"""

from collections.abc import Generator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from number_orders.carriers.cm.answers import GONE, Listing, judged, page_query, requested, submitted
from number_orders.carriers.cm.cancellation import ASKED, call_back, wants_calling_back, with_word
from number_orders.carriers.cm.facts import CARRIER, QUANTITY_MAX, REQUESTS_PATH, STATUSES, Meaning, same_word
from number_orders.carriers.cm.json import reference_of, write_request
from number_orders.carriers.cm.restrictions import ask_allowance, range_fault
from number_orders.carriers.cm.rules import Profiles, faults, profile_key
from number_orders.carriers.contract import Capabilities, CarrierAnswer, CarrierRequest, Conversation, Purpose
from number_orders.orders.errors import Fault, Mistake, NotOffered
from number_orders.orders.events import Acknowledged, Event, FoundTwice, NotListed, NotSent, Refused, StillOpen
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, Order, OrderRequest

_JSON: Final = "application/json"
_NO_STATUSES: Final[Mapping[str, Meaning]] = MappingProxyType({})


class CM:
    """Translates orders to and from CM.com's dialect; never opens a socket."""

    def __init__(
        self,
        account_guid: str,
        company_profiles: Profiles,
        *,
        statuses: Mapping[str, Meaning] = _NO_STATUSES,
        callback_url: str | None = None,
    ) -> None:
        """Keep what an order is completed with.

        Args:
            account_guid: The logical account or voice account that numbers go to.
            company_profiles: Who operates the numbers, by country and number type: `NLD:local` → GUID.
            statuses: What CM.com's words for a status mean, beside and before those of `cm_facts.STATUSES`.
            callback_url: Where CM.com tells that a request has changed. A hint to whoever listens there: what is
                known here is known from asking.
        """
        self._account = account_guid
        self._requests = REQUESTS_PATH.format(account=quote(account_guid, safe=""))
        self._callback_url = callback_url
        self._profiles = company_profiles
        self._statuses = {same_word(word): meaning for word, meaning in (*STATUSES.items(), *statuses.items())}

    @property
    def name(self) -> CarrierName:
        """The carrier's name in orders and settings."""
        return CarrierName(CARRIER)

    @property
    def capabilities(self) -> Capabilities:
        """What CM.com offers, as far as this adapter goes."""
        return Capabilities(
            kinds=frozenset({Kind.NEW_NUMBERS}),
            quantity_max=QUANTITY_MAX,
            partial_fill=True,
            backorder=False,
            found_by_reference=True,
            cancellable=frozenset({Kind.NEW_NUMBERS}),
        )

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything CM.com would not take; empty when the order is good."""
        return faults(request, self._profiles)

    def serial_key(self, request: OrderRequest) -> None:
        """Orders here are told apart by their reference, so none needs anything to itself."""

    def submit(self, order: Order) -> Conversation:
        """Send the order: one POST. Ends in Acknowledged, Refused, NotSent or AnswerLost.

        Before an order for ranges is sent, CM.com is asked which range sizes it allows. No answer: nothing is sent.
        """
        criteria = order.request.criteria
        if order.request.kind is not Kind.NEW_NUMBERS or criteria is None:
            raise NotOffered(f"order {order.order_id}: CM.com is not asked for {order.request.kind} by name")
        profile = self._profiles.get(profile_key(criteria))
        if profile is None:  # it was there when the order was accepted
            return NotSent(f"no company profile is set up for {profile_key(criteria)} any more")
        if order.request.range_size is not None:
            allowed = yield from ask_allowance(self._account, profile_key(criteria), profile)
            if fault := range_fault(order.request.range_size, allowed):
                return Refused(str(fault))
        body = write_request(order, profile, self._callback_url)
        answer = yield CarrierRequest(
            "POST", self._requests, Purpose.COMMIT, body=body, content_type=_JSON, accept=_JSON
        )
        return submitted(order, answer)

    def ask(self, order: Order) -> Conversation:
        """Ask how an OPEN order stands. People decide there, so it may stand for days.

        One that was called back is read first, so that a way to cancel that fails hides no end, and again afterwards.
        """
        if order.carrier_order_id is None:
            raise Mistake(f"order {order.order_id} is {order.state} and has no carrier order id to ask for")
        path = f"{self._requests}/{quote(order.carrier_order_id, safe='')}"
        stands = yield from self._standing(order, path)
        said = order.progress.get(ASKED)
        if wants_calling_back(order, stands, self._statuses):
            said = yield from call_back(order, path)
            stands = yield from self._standing(order, path)
        return with_word(stands, said)

    def look_for(self, order: Order) -> Conversation:
        """Look for an order IN_DOUBT by the comment that it was sent with."""
        found = yield from self._listed(order)
        if len(found) > 1:
            return FoundTwice(tuple(found))
        if found:
            return Acknowledged(*next(iter(found.items())))
        return NotListed("the comments of all number requests")

    def _standing(self, order: Order, path: str) -> Generator[CarrierRequest, CarrierAnswer, Event]:
        """Read the number request at `path` once, and say how it stands."""
        answer = yield CarrierRequest("GET", path, Purpose.READ, accept=_JSON)
        if answer.status == HTTPStatus.NOT_FOUND:
            detail = "the carrier does not know its own number request any more"
            return StillOpen(GONE, detail=detail, slow=True, unheard_of=True)
        view, status = requested(order, answer)
        return judged(order, view, status, self._statuses)

    def _listed(self, order: Order) -> Generator[CarrierRequest, CarrierAnswer, dict[CarrierOrderId, str | None]]:
        """Return all number requests with our reference and their status."""
        listing = Listing(reference_of(order))
        skip: int | None = 0
        while skip is not None:
            answer = yield CarrierRequest("GET", self._requests, Purpose.READ, page_query(skip), accept=_JSON)
            skip = listing.add(answer)
        return listing.found()
